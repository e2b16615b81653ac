/**
 * From a saved file to real proxies: a control plane with 100 services, N proxies (default 100), one VirtualService
 * changed again and again. A change is live at a proxy when a request through its own listener gets the new answer.
 *
 * Asking costs the processor that the change needs, so each proxy has one connection and is asked after 20, 40, 60 …
 * 120 ms, then more and more rarely: a figure is too high by up to the pause before it. The other tables say what one
 * change costs each process, thread by thread, and what a question costs.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { change, answerOf, removeFiles, services, startMesh } from './propagation-mesh.ts';
import { stopAll } from './peers.ts';
import { printTable } from './table.ts';

const proxies = Number(process.argv[2] ?? 100);
const changes = Number(process.argv[3] ?? 15);
const warmUp = Number(process.argv[4] ?? 0);
const settings = process.argv.slice(5);
/** Pauses between questions, ms; 320 from then on. */
const pausesMs = [20, 20, 20, 20, 20, 20, 40, 80, 160];
const request = Buffer.from('GET / HTTP/1.1\r\nHost: service-0:8080\r\n\r\n');
/** Of each proxy, while nothing changes. */
const questionsEach = 10;
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

try {
  await main();
} finally {
  await stopAll();
  removeFiles();
}

async function main(): Promise<void> {
  const { controlPid, clients } = await startMesh(proxies, settings);
  const probes = await Promise.all(clients.map(({ port }) => Probe.open(port)));
  await Bun.sleep(5000);
  const pids = clients.map(({ pid }) => pid);
  let generation = 1;
  for (; generation <= warmUp; generation++) await changed(probes, generation);
  const times: number[] = [];
  const before = {
    proxies: threadCpuMs(pids),
    control: total(threadCpuMs([controlPid])),
    own: ownCpuMs(),
    asked,
  };
  for (; generation <= warmUp + changes; generation++) times.push(...(await changed(probes, generation)));
  const after = {
    proxies: threadCpuMs(pids),
    control: total(threadCpuMs([controlPid])),
    own: ownCpuMs(),
    asked,
  };
  await questions(probes);
  await Bun.sleep(300);
  const questioned = threadCpuMs(pids);
  for (const probe of probes) probe.close();
  times.sort((a, b) => a - b);
  const at = (share: number): string =>
    (times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0).toFixed(0);
  printTable(
    `A changed route, ${services} services, ${proxies} real proxies, file saved to answer changed, ms`,
    ['p50', 'p90', 'p99', 'max', 'samples', 'questions'],
    [[at(0.5), at(0.9), at(0.99), at(1), String(times.length), String(after.asked - before.asked)]],
  );
  printTable(
    'CPU time of one change, its questions and 300 ms of rest included, ms',
    ['each proxy', 'of that, a question', 'control plane', 'this process'],
    [
      [
        ((total(after.proxies) - total(before.proxies)) / proxies / changes).toFixed(2),
        ((total(questioned) - total(after.proxies)) / proxies / questionsEach).toFixed(2),
        ((after.control - before.control) / changes).toFixed(1),
        ((after.own - before.own) / changes).toFixed(1),
      ],
    ],
  );
  printTable(
    'CPU time of one change in a proxy, by thread, ms',
    ['thread', 'ms', 'a question, ms'],
    [...after.proxies]
      .map(([name, ms]): [string, number, number] => [
        name,
        (ms - (before.proxies.get(name) ?? 0)) / proxies / changes,
        ((questioned.get(name) ?? 0) - ms) / proxies / questionsEach,
      ])
      .sort(([, a], [, b]) => b - a)
      .map(([name, change, question]) => [name, change.toFixed(3), question.toFixed(3)]),
  );
}

async function changed(probes: readonly Probe[], generation: number): Promise<number[]> {
  const savedMs = performance.now();
  change(generation);
  const times = await Promise.all(probes.map((probe) => live(probe, generation, savedMs)));
  await Bun.sleep(300);
  return times;
}

async function live(probe: Probe, generation: number, savedMs: number): Promise<number> {
  for (let question = 0; ; question++) {
    await Bun.sleep(pausesMs[question] ?? 320);
    if ((await probe.ask()).endsWith(answerOf(generation))) return performance.now() - savedMs;
  }
}

/** The same questions while nothing changes, to tell what they cost. */
async function questions(probes: readonly Probe[]): Promise<void> {
  for (let count = 0; count < questionsEach; count++) {
    await Promise.all(probes.map((probe) => probe.ask()));
    await Bun.sleep(50);
  }
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
      const ownName = readFileSync(`${path}/comm`, 'latin1').trim();
      const name = task === String(pid) ? 'main' : ownName;
      const ms = Number(readFileSync(`${path}/schedstat`, 'latin1').split(' ')[0]) / 1e6;
      byName.set(name, (byName.get(name) ?? 0) + ms);
    }
  }
  return byName;
}

function total(byName: ReadonlyMap<string, number>): number {
  return [...byName.values()].reduce((sum, ms) => sum + ms, 0);
}
