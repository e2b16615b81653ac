/** The old process, spoken to as any process of the same user may. */
import { afterEach, expect, test } from 'bun:test';
import { createLogger } from '@sluice/runtime';
import { cleanUp, onCleanUp } from '@sluice/testkit';
import { HandOver } from './hand-over.ts';

afterEach(cleanUp);

const isLinux = process.platform === 'linux';
let names = 0;

async function serve(): Promise<{ name: string; drained: () => number; lines: string[] }> {
  const name = `sluice-test-${process.pid}-${++names}`;
  let drained = 0;
  const lines: string[] = [];
  const handOver = new HandOver({
    epoch: 4,
    version: '0.1.0',
    logger: createLogger({
      component: 'test',
      level: 'info',
      format: 'text',
      write: (line) => lines.push(line),
    }),
    sockets: () => [],
    drain: () => drained++,
  });
  expect(handOver.start(name)).toBe(true);
  onCleanUp(() => handOver.stop());
  return { name, drained: () => drained, lines };
}

/** Sends the lines and collects as many answers, or what came before the end. */
async function ask(name: string, ...lines: readonly object[]): Promise<unknown[]> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = '';
  const socket = await Bun.connect({
    unix: `\0${name}`,
    socket: {
      data: (_socket, data) => {
        text += data.toString();
        if (text.split('\n').length > lines.length) resolve(text);
      },
      close: () => resolve(text),
    },
  });
  for (const line of lines) socket.write(`${JSON.stringify(line)}\n`);
  const answers = (await promise).trim().split('\n');
  socket.end();
  return answers.map((answer) => JSON.parse(answer));
}

const hello = (more: object = {}): object => ({
  type: 'hello',
  protocol: 1,
  version: '0.2.0',
  epoch: 5,
  ...more,
});

test.skipIf(!isLinux)('answers the next epoch, and drains when that is live', async () => {
  const { name, drained } = await serve();
  expect(await ask(name, hello(), { type: 'live' })).toEqual([
    { type: 'hello', version: '0.1.0', epoch: 4, sockets: 0 },
    { type: 'live' },
  ]);
  expect(drained()).toBe(1);
});

test.skipIf(!isLinux)(
  'refuses another version of the handover, another epoch, and what it does not know',
  async () => {
    const { name, drained } = await serve();
    const refusals = [
      await ask(name, hello({ protocol: 2 })),
      await ask(name, hello({ epoch: 7 })),
      await ask(name, { type: 'live' }),
      await ask(name, { type: 'what' }),
    ];
    expect(refusals.flat()).toEqual(
      [
        'it speaks version 1 of the handover, not 2',
        'the epoch after 4 is not 7',
        'say hello first',
        'the request is not understood',
      ].map((reason) => ({ type: 'refused', reason })),
    );
    expect(drained()).toBe(0);
  },
);

test.skipIf(!isLinux)('one name belongs to one process', async () => {
  const { name } = await serve();
  const other = new HandOver({
    epoch: 4,
    version: '0.1.0',
    logger: createLogger({ component: 'test', level: 'info', format: 'text', write: () => undefined }),
    sockets: () => [],
    drain: () => undefined,
  });
  expect(other.start(name)).toBe(false);
});
