/**
 * From a saved file to real proxies: a control plane with 100 services, N proxies (default 100), one VirtualService
 * changed again and again. A change is live at a proxy when a request through its own listener gets the new answer.
 *
 * A question wakes a proxy that sleeps, which costs half of what the change does: asking until the answer changes
 * would measure the asking. So of 100 proxies a third is asked per change, each once, at a moment of its own within the
 * window, and the share of new answers among the questions of each part of it says how far the change is then; in the
 * end all are asked, and must have it. Proxies have carried requests before. The first changes, for which code is
 * compiled, are told apart from later ones.
 */
import { answerOf, change, removeFiles, services, startMesh } from './propagation-mesh.ts';
import { stopAll } from './peers.ts';
import { Probe } from './probe.ts';
import { printTable } from './table.ts';
import { differenceOf, threadCpuMs, totalMs } from './thread-cpu.ts';

const proxies = Number(process.argv[2] ?? 100);
const changes = Number(process.argv[3] ?? 12);
/** Changes between the first ones and the later ones. */
const changesBetween = Number(process.argv[4] ?? 20);
const windowMs = 60 + 3 * proxies;
const binMs = windowMs / 18;
/** Within the window: to each of those that are asked, and of how many proxies one is. */
const questionsEach = Math.max(1, Math.round(40 / proxies));
const oneOf = Math.ceil(proxies / 40);
const warmRequests = 200;
const restMs = 200;
const request = 'GET / HTTP/1.1\r\nHost: service-0:8080\r\n\r\n';

interface Answer {
  readonly askedMs: number;
  readonly isNew: boolean;
}

interface Measured {
  readonly answers: readonly Answer[];
  readonly proxyMs: ReadonlyMap<string, number>;
  readonly controlMs: number;
}

let generation = 0;

try {
  await main();
} finally {
  await stopAll();
  removeFiles();
}

async function main(): Promise<void> {
  const { controlPid, clients } = await startMesh(proxies);
  const pids = clients.map(({ pid }) => pid);
  const probes = await Promise.all(clients.map(({ port }) => Probe.open(port, request)));
  await Promise.all(probes.map(warmUp));
  await Bun.sleep(3000);
  const first = await measure(probes, pids, controlPid);
  for (let count = 0; count < changesBetween; count++) {
    change(++generation);
    await Bun.sleep(2 * restMs);
  }
  const later = await measure(probes, pids, controlPid);
  const before = threadCpuMs(pids);
  const askedCount = (await askWithin(probes)).length;
  const question = differenceOf(threadCpuMs(pids), before, askedCount);
  for (const probe of probes) probe.close();
  printTimes({ first, later });
  printCosts(first, later, question);
}

async function warmUp(probe: Probe): Promise<void> {
  for (let count = 0; count < warmRequests; count++) await probe.ask();
}

async function measure(
  probes: readonly Probe[],
  pids: readonly number[],
  control: number,
): Promise<Measured> {
  const before = { proxies: threadCpuMs(pids), control: threadCpuMs([control]) };
  const answers: Answer[] = [];
  for (let count = 0; count < changes; count++) answers.push(...(await changeOnce(probes)));
  return {
    answers,
    proxyMs: differenceOf(threadCpuMs(pids), before.proxies, proxies * changes),
    controlMs: totalMs(differenceOf(threadCpuMs([control]), before.control, changes)),
  };
}

async function changeOnce(probes: readonly Probe[]): Promise<Answer[]> {
  change(++generation);
  const answers = await askWithin(probes);
  await Bun.sleep(restMs);
  for (const probe of probes)
    if (!(await probe.ask()).endsWith(answerOf(generation))) throw new Error('a change did not get through');
  await Bun.sleep(restMs);
  return answers;
}

/** Every question of the window has a moment of its own; a proxy's are spread over it. */
async function askWithin(probes: readonly Probe[]): Promise<Answer[]> {
  const startMs = performance.now();
  const chosen = probes.filter((_, index) => index % oneOf === generation % oneOf);
  const asked = chosen.map(async (probe, index) => {
    const answers: Answer[] = [];
    const order = (index * 37 + generation * 13) % chosen.length;
    for (let question = 0; question < questionsEach; question++) {
      const share = (question + (order + 0.5) / chosen.length) / questionsEach;
      await Bun.sleep(Math.max(0, startMs + share * windowMs - performance.now()));
      const askedMs = performance.now() - startMs;
      answers.push({ askedMs, isNew: (await probe.ask()).endsWith(answerOf(generation)) });
    }
    return answers;
  });
  const answers = await Promise.all(asked);
  await Bun.sleep(Math.max(0, startMs + windowMs - performance.now()));
  return answers.flat();
}

function printTimes(runs: Readonly<Record<string, Measured>>): void {
  printTable(
    `A changed route, ${services} services, ${proxies} real proxies: ms after which so many have it`,
    ['changes', 'half', '90 %', '99 %', 'questions'],
    Object.entries(runs).map(([name, { answers }]) =>
      [name].concat(
        [0.5, 0.9, 0.99].map((share) => timeOf(answers, share)),
        String(answers.length),
      ),
    ),
  );
  printTable(
    'Share of new answers to questions asked so many ms after the file was saved, %',
    ['asked within', ...Object.keys(runs)],
    Array.from({ length: Math.ceil(windowMs / binMs) }, (_, bin) => [
      `${(bin * binMs).toFixed(0)} to ${((bin + 1) * binMs).toFixed(0)}`,
      ...Object.values(runs).map(({ answers }) => (shareOf(answers, bin) * 100).toFixed(0)),
    ]),
  );
}

/** The end of the last part of the window in which fewer had it. */
function timeOf(answers: readonly Answer[], share: number): string {
  const bins = Math.ceil(windowMs / binMs);
  for (let bin = bins - 1; bin >= 0; bin--)
    if (shareOf(answers, bin) < share)
      return bin === bins - 1 ? `> ${windowMs}` : ((bin + 1) * binMs).toFixed(0);
  return binMs.toFixed(0);
}

/** 1 where nobody was asked. */
function shareOf(answers: readonly Answer[], bin: number): number {
  const asked = answers.filter(({ askedMs }) => Math.floor(askedMs / binMs) === bin);
  return asked.length === 0 ? 1 : asked.filter(({ isNew }) => isNew).length / asked.length;
}

function printCosts(first: Measured, later: Measured, question: ReadonlyMap<string, number>): void {
  const costs = [first.proxyMs, later.proxyMs, question];
  const names = [...first.proxyMs.keys()].sort(
    (a, b) => (first.proxyMs.get(b) ?? 0) - (first.proxyMs.get(a) ?? 0),
  );
  printTable(
    `CPU time of one change, ${(1 + questionsEach / oneOf).toFixed(1)} questions and ${windowMs + 2 * restMs} ms of idling included, ms`,
    ['', 'first changes', 'later changes', 'one question and its share of idling'],
    [
      ['each proxy', ...costs.map((ms) => totalMs(ms).toFixed(2))],
      ...names.map((name) => [`of it ${name}`].concat(costs.map((ms) => (ms.get(name) ?? 0).toFixed(2)))),
      ['control plane', first.controlMs.toFixed(1), later.controlMs.toFixed(1), ''],
    ],
  );
}
