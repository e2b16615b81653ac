/** The client's machine: transcripts of streams (testdata/client-*.txt), and what they cannot show well. */
import { expect, test } from 'bun:test';
import { DiscoveryResponseTable } from '../gen/tables.ts';
import { encodeMessage } from '../proto/encode.ts';
import { makeSnapshot, shortOf, showRequest, typeUrlOf, versionInside } from '../testing/ads-text.ts';
import { testTranscript, type TranscriptRunner } from '../testing/transcript.ts';
import { AdsClient, type AdsReceived } from './client.ts';
import { encodeDeltaResponse, encodeSotwResponse } from './server-response.ts';
import { xdsTypes } from './types.ts';

const folder = `${import.meta.dir}/../testdata`;

for (const file of new Bun.Glob('client-*.txt').scanSync(folder)) {
  testTranscript(file, `${folder}/${file}`, () => runClient(file.includes('delta')));
}

test('what is not a response breaks the stream and throws nothing', () => {
  const client = new AdsClient('sotw', { id: 'p' });
  client.opened();
  expect(client.receive(new Uint8Array([0x0a, 0x7f])).kind).toBe('broken');
});

test('a resource of another type than its response is refused by its index', () => {
  const client = new AdsClient('sotw', { id: 'p' });
  client.subscribe(xdsTypes.cluster, ['*']);
  client.opened();
  client.takeRequests();
  const listener = makeSnapshot('lds: l@1').types.get(xdsTypes.listener)?.get('l');
  const received = client.receive(
    encodeMessage(DiscoveryResponseTable, {
      typeUrl: xdsTypes.cluster,
      nonce: '1',
      resources: [listener?.bytes ?? new Uint8Array()],
    }),
  );
  if (received.kind !== 'update') throw new Error(received.kind);
  client.settle(received.update, []);
  expect(client.takeRequests().map((bytes) => showRequest(false, bytes))).toEqual([
    `cds nonce=1 error="resources[0]: a ${xdsTypes.listener} in a response of ${xdsTypes.cluster}"`,
  ]);
});

function runClient(isDelta: boolean): TranscriptRunner {
  const client = new AdsClient(isDelta ? 'delta' : 'sotw', { id: 'p' });
  let refused: ReadonlySet<string> = new Set();

  const execute = (command: string): string => {
    const [verb = '', short = '', ...rest] = command.split(' ');
    switch (verb) {
      case 'open':
        client.opened();
        return '';
      case 'close':
        client.closed();
        return '';
      case 'subscribe':
        client.subscribe(typeUrlOf(short), rest);
        return '';
      case 'unsubscribe':
        client.unsubscribe(typeUrlOf(short), rest);
        return '';
      case 'missing':
        return client.missing(typeUrlOf(short)).join(' ');
      case 'response':
        return receive(short, rest);
      default:
        throw new Error(`unknown command ${command}`);
    }
  };

  /** `response cds 1 a@1 !b@2 -c`: the caller refuses what bears an exclamation mark. */
  const receive = (short: string, [nonce = '', ...words]: readonly string[]): string => {
    refused = new Set(
      words.filter((word) => word.startsWith('!')).map((word) => word.slice(1).split('@')[0] ?? ''),
    );
    const listed = words.filter((word) => !word.startsWith('-')).map((word) => word.replace(/^!/, ''));
    const resources = makeSnapshot(`${short}: ${listed.join(' ')}`).types.get(typeUrlOf(short)) ?? new Map();
    const head = { typeUrl: typeUrlOf(short), version: `v${nonce}`, nonce };
    const removed = words.filter((word) => word.startsWith('-')).map((word) => word.slice(1));
    return judge(
      client.receive(
        isDelta ? encodeDeltaResponse(head, resources, removed) : encodeSotwResponse(head, resources),
      ),
    );
  };

  const judge = (received: AdsReceived): string => {
    if (received.kind === 'broken') return `broken ${received.error.message}`;
    if (received.kind === 'ignored') return `ignored ${shortOf(received.typeUrl)}`;
    const { update } = received;
    const resources = update.resources.map(({ name, bytes, aliases }) => `${name}@${versionInside(update.typeUrl, bytes)}${aliases.map((alias) => `=${alias}`).join('')}`); // prettier-ignore
    const rejected = update.resources.filter(({ name }) => refused.has(name));
    client.settle(update, rejected.map(({ name }) => ({ name, problem: 'connect_timeout: must be positive' }))); // prettier-ignore
    return `update ${shortOf(update.typeUrl)}: ${[...resources, ...update.removed.map((name) => `-${name}`)].join(' ') || '(nothing new)'}`;
  };

  return (command) => [execute(command), ...client.takeRequests().map((bytes) => `=> ${showRequest(isDelta, bytes)}`)].filter((line) => line !== '').join('\n'); // prettier-ignore
}
