/**
 * From a saved file to real proxies: a control plane with 100 services, N proxies (default 100), one VirtualService
 * changed again and again. A change is live at a proxy when a request through its own listener gets the new answer.
 *
 * Asking costs the processor that the change needs, so each proxy has one connection and is asked at its own moments,
 * one pause apart (40 ms with 100 proxies). A change went live between the last old answer and the first new one:
 * both are told. Proxies have carried requests before; the first changes, for which code is compiled, are told apart
 * from later ones. The other table says what one change costs each process, thread by thread, and what a question does.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { answerOf, change, removeFiles, services, startMesh } from './propagation-mesh.ts';
import { stopAll } from './peers.ts';
import { printTable } from './table.ts';

const proxies = Number(process.argv[2] ?? 100);
const changes = Number(process.argv[3] ?? 10);
/** Changes between the first ones and the later ones. */
const changesBetween = Number(process.argv[4] ?? 15);
const pauseMs = Math.max(3, 0.4 * proxies);
/** Requests through each proxy before the first change, and questions in sequence when nothing changes. */
const warmRequests = 100;
const questionsEach = 10;
const restMs = 300;
const request = Buffer.from('GET / HTTP/1.1\r\nHost: service-0:8080\r\n\r\n');
let asked = 0;

/** One kept connection; answers are small enough to come in one piece. */
class Probe {
  readonly #socket: Bun.Socket;
  #onAnswer: ((text: string) => void) | null = null;

  private constructor(socket: Bun.Socket) {
    this.#socket = socket;
  }

  static async open(port: number): Promise<Probe> {
    const socket = await Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: { data: (_, data) => probe.#onAnswer?.(data.toString('latin1')) },
    });
    const probe = new Probe(socket);
    return probe;
  }

  ask(): Promise<string> {
    asked++;
    return new Promise((resolve) => {
      this.#onAnswer = resolve;
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket.end();
  }
}

/** When a change was still not live, and when it was, ms after the file was saved. */
interface Observed {
  readonly notYetMs: number;
  readonly liveMs: number;
}

interface Measured {
  readonly observed: readonly Observed[];
  readonly questions: number;
  readonly proxyMs: ReadonlyMap<string, number>;
  readonly controlMs: number;
  readonly ownMs: number;
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
  const probes = await Promise.all(clients.map(({ port }) => Probe.open(port)));
  for (const probe of probes) for (let count = 0; count < warmRequests; count++) await probe.ask();
  await Bun.sleep(3000);
  const first = await measure(probes, pids, controlPid);
  for (let count = 0; count < changesBetween; count++) await changeOnce(probes);
  const later = await measure(probes, pids, controlPid);
  const before = threadCpuMs(pids);
  for (let count = 0; count < questionsEach; count++) {
    for (const probe of probes) await probe.ask();
    await Bun.sleep(pauseMs);
  }
  const question = differenceOf(threadCpuMs(pids), before, proxies * questionsEach);
  for (const probe of probes) probe.close();
  printTimes({ first, later });
  printCosts(first, later, question);
}

async function measure(
  probes: readonly Probe[],
  pids: readonly number[],
  control: number,
): Promise<Measured> {
  const before = { proxies: threadCpuMs(pids), control: threadCpuMs([control]), own: ownCpuMs(), asked };
  const observed: Observed[] = [];
  for (let count = 0; count < changes; count++) observed.push(...(await changeOnce(probes)));
  return {
    observed,
    questions: (asked - before.asked) / observed.length,
    proxyMs: differenceOf(threadCpuMs(pids), before.proxies, proxies * changes),
    controlMs: total(differenceOf(threadCpuMs([control]), before.control, changes)),
    ownMs: (ownCpuMs() - before.own) / changes,
  };
}

async function changeOnce(probes: readonly Probe[]): Promise<Observed[]> {
  const savedMs = performance.now();
  change(++generation);
  const observed = await Promise.all(
    probes.map((probe, index) => live(probe, savedMs, (1 + index / probes.length) * pauseMs)),
  );
  await Bun.sleep(restMs);
  return observed;
}

async function live(probe: Probe, savedMs: number, firstMs: number): Promise<Observed> {
  const expected = answerOf(generation);
  let notYetMs = 0;
  for (let nextMs = firstMs; ; nextMs += pauseMs) {
    await Bun.sleep(Math.max(0, savedMs + nextMs - performance.now()));
    const askedMs = performance.now() - savedMs;
    if ((await probe.ask()).endsWith(expected)) return { notYetMs, liveMs: performance.now() - savedMs };
    notYetMs = askedMs;
  }
}

function printTimes(runs: Readonly<Record<string, Measured>>): void {
  const at = (times: readonly number[], share: number): string =>
    (
      [...times].sort((a, b) => a - b)[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0
    ).toFixed(0);
  printTable(
    `A changed route, ${services} services, ${proxies} real proxies, file saved to answer changed, ms`,
    [
      'changes',
      'p50',
      'p90',
      'p99',
      'max',
      'last old answer: p50',
      'p90',
      'p99',
      'samples',
      'questions each',
    ],
    Object.entries(runs).map(([name, { observed, questions }]) => {
      const live = observed.map(({ liveMs }) => liveMs);
      const notYet = observed.map(({ notYetMs }) => notYetMs);
      return [
        name,
        ...[0.5, 0.9, 0.99, 1].map((share) => at(live, share)),
        ...[0.5, 0.9, 0.99].map((share) => at(notYet, share)),
        String(observed.length),
        questions.toFixed(1),
      ];
    }),
  );
}

function printCosts(first: Measured, later: Measured, question: ReadonlyMap<string, number>): void {
  const names = [...first.proxyMs.keys()].sort(
    (a, b) => (first.proxyMs.get(b) ?? 0) - (first.proxyMs.get(a) ?? 0),
  );
  const row = (name: string, of: (ms: ReadonlyMap<string, number>) => number): string[] => [
    name,
    ...[first.proxyMs, later.proxyMs, question].map((ms) => of(ms).toFixed(2)),
  ];
  printTable(
    `CPU time of one change, its questions and ${restMs} ms of rest included, ms`,
    ['', 'first changes', 'later changes', 'one question'],
    [
      row('each proxy', total),
      ...names.map((name) => row(`of it ${name}`, (ms) => ms.get(name) ?? 0)),
      ['control plane', first.controlMs.toFixed(1), later.controlMs.toFixed(1), ''],
      ['who asks', first.ownMs.toFixed(1), later.ownMs.toFixed(1), ''],
    ],
  );
}

function ownCpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** By name of thread; /proc/PID/stat counts in steps of 10 ms, which is more than a change takes. */
function threadCpuMs(pids: readonly number[]): Map<string, number> {
  const byName = new Map<string, number>();
  for (const pid of pids) {
    for (const task of readdirSync(`/proc/${pid}/task`)) {
      const path = `/proc/${pid}/task/${task}`;
      const name = task === String(pid) ? 'main' : readFileSync(`${path}/comm`, 'latin1').trim();
      const ms = Number(readFileSync(`${path}/schedstat`, 'latin1').split(' ')[0]) / 1e6;
      byName.set(name, (byName.get(name) ?? 0) + ms);
    }
  }
  return byName;
}

function differenceOf(
  after: ReadonlyMap<string, number>,
  before: ReadonlyMap<string, number>,
  parts: number,
): Map<string, number> {
  return new Map([...after].map(([name, ms]) => [name, (ms - (before.get(name) ?? 0)) / parts]));
}

function total(byName: ReadonlyMap<string, number>): number {
  return [...byName.values()].reduce((sum, ms) => sum + ms, 0);
}
