/** Runs the grid against one proxy and writes down everything that can be seen of each case. */
import { readFileSync } from 'node:fs';
import { waitFor } from '@sluice/testkit';
import { logFields } from './bootstrap.ts';
import { converse, type Outcome } from './client.ts';
import type { Origins, Received } from './origins.ts';
import type { RunningProxy } from './proxies.ts';
import { sends, anyHost, type Section } from './section.ts';

export type LogLine = Readonly<Record<keyof typeof logFields, string>>;

export interface Observation {
  readonly outcomes: readonly Outcome[];
  readonly received: readonly Received[];
  readonly log: readonly LogLine[];
}

/** The last section: its log line says that all earlier ones have been written. */
export const lastSection: Section = {
  name: 'last',
  routes: anyHost([{ match: { prefix: '/' }, direct_response: { status: 200 } }]),
  cases: [sends('the end', '/the-end')],
};

/** By "section: case". */
export async function observe(
  proxy: RunningProxy,
  sections: readonly Section[],
  origins: Origins,
): Promise<ReadonlyMap<string, Observation>> {
  const seen = new Map<string, Omit<Observation, 'log'> & { port: number; clientPort: number }>();
  for (const section of sections) {
    const port = proxy.listenerPorts.get(section.name) ?? 0;
    for (const one of section.cases) {
      origins.take();
      const { outcomes, clientPort } = await converse(port, one);
      const key = `${section.name}: ${one.name}`;
      if (seen.has(key)) throw new Error(`two cases are called "${key}"`);
      seen.set(key, { outcomes, port, clientPort, received: origins.take() });
    }
  }
  const lines = await readLog(proxy);
  return new Map(
    [...seen].map(([key, { port, clientPort, outcomes, received }]) => {
      // No two cases of one listener have the same client's port.
      const log = lines.filter(
        (line) => line.client.endsWith(`:${clientPort}`) && line.listener.endsWith(`:${port}`),
      );
      return [key, { outcomes, received, log }];
    }),
  );
}

async function readLog(proxy: RunningProxy): Promise<LogLine[]> {
  const read = (): LogLine[] =>
    readFileSync(proxy.accessLogPath, 'latin1')
      .split('\n')
      .filter((line) => line !== '')
      .map(parseLine);
  return waitFor(
    () => {
      const lines = read();
      return lines.some((line) => line.path === '/the-end') ? lines : null;
    },
    { what: `the access log of ${proxy.name} to be complete` },
  );
}

function parseLine(line: string): LogLine {
  const values = line.split('\t');
  return Object.fromEntries(Object.keys(logFields).map((name, i) => [name, values[i] ?? ''])) as LogLine;
}
