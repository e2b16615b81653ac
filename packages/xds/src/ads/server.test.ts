/** The server's machine: transcripts of streams (testdata/server-*.txt), and what they cannot show well. */
import { expect, test } from 'bun:test';
import { DeltaDiscoveryRequestTable, DiscoveryRequestTable } from '../gen/tables.ts';
import { encodeMessage } from '../proto/encode.ts';
import { makeSnapshot, shortOf, showResponse, typeUrlOf } from '../testing/ads-text.ts';
import { testTranscript, type TranscriptRunner } from '../testing/transcript.ts';
import { AdsServerSession, type AdsServerEvent } from './server.ts';
import { setVersion } from './version.ts';

const folder = `${import.meta.dir}/../testdata`;

for (const file of new Bun.Glob('server-*.txt').scanSync(folder)) {
  testTranscript(file, `${folder}/${file}`, () => runServer(file.includes('delta')));
}

test('what is not a request breaks the stream and throws nothing', () => {
  const session = new AdsServerSession('sotw');
  expect(session.receive(new Uint8Array([0xff, 0xff]))[0]?.kind).toBe('broken');
});

test('resource bytes are used as they are, not encoded again', () => {
  const session = new AdsServerSession('delta');
  const bytes = new Uint8Array([10, 1, 97]);
  session.setSnapshot({
    version: '',
    types: new Map([[typeUrlOf('cds'), new Map([['a', { version: '1', bytes }]])]]),
  });
  session.receive(encodeMessage(DeltaDiscoveryRequestTable, { typeUrl: typeUrlOf('cds') }));
  const [response] = session.takeResponses();
  expect(Buffer.from(response ?? []).includes(Buffer.from(bytes))).toBe(true);
});

function runServer(isDelta: boolean): TranscriptRunner {
  let session = new AdsServerSession(isDelta ? 'delta' : 'sotw');
  let last = new Map<string, { nonce: string; version: string }>();
  let names = new Map<string, readonly string[]>();
  let snapshot = makeSnapshot('');

  const send = (short: string, fields: Record<string, unknown>): readonly AdsServerEvent[] => {
    const table = isDelta ? DeltaDiscoveryRequestTable : DiscoveryRequestTable;
    return session.receive(
      encodeMessage(table as typeof DiscoveryRequestTable, { typeUrl: typeUrlOf(short), ...fields }),
    );
  };
  const answer = (short: string, fields: Record<string, unknown>): readonly AdsServerEvent[] =>
    send(short, {
      responseNonce: last.get(typeUrlOf(short))?.nonce ?? '',
      resourceNames: names.get(short) ?? [],
      ...fields,
    });

  const execute = (command: string): readonly AdsServerEvent[] => {
    const [verb = '', short = '', ...rest] = command.split(' ');
    switch (verb) {
      case 'connect':
        session = new AdsServerSession(isDelta ? 'delta' : 'sotw');
        last = new Map();
        names = new Map();
        return [];
      case 'snapshot':
        snapshot = makeSnapshot(command.slice('snapshot '.length));
        session.setSnapshot(snapshot);
        return [];
      case 'first': {
        const held = Object.fromEntries(
          rest.filter((word) => word.includes('@')).map((word) => word.split('@')),
        );
        const version = rest.includes('version=same')
          ? setVersion(snapshot.types.get(typeUrlOf(short)) ?? new Map())
          : '';
        const list = rest.filter((word) => !word.includes('@') && !word.startsWith('version='));
        names.set(short, list);
        return send(short, { node: { id: 'p' }, resourceNames: list, resourceNamesSubscribe: list, initialResourceVersions: held, versionInfo: version }); // prettier-ignore
      }
      case 'ack':
        return answer(short, {});
      case 'nack':
        return answer(short, { errorDetail: { code: 3, message: rest.join(' ') } });
      case 'stale':
        return answer(short, { responseNonce: '999', resourceNames: rest });
      case 'names':
        names.set(short, rest);
        return answer(short, {});
      case 'subscribe':
        return send(short, { resourceNamesSubscribe: rest });
      case 'unsubscribe':
        return send(short, { resourceNamesUnsubscribe: rest });
      default:
        throw new Error(`unknown command ${command}`);
    }
  };

  return (command) => {
    if (command === 'status') return [...session.status()].map(([url, type]) => `${shortOf(url)} ${type.state} held=${type.heldCount} pending=${type.pendingCount}${showRejected(type.rejected)}`).join('\n'); // prettier-ignore
    const events = execute(command).map(showEvent).filter((line) => line !== ''); // prettier-ignore
    const responses = session.takeResponses().map((bytes) => {
      const shown = showResponse(isDelta, bytes);
      last.set(shown.typeUrl, shown);
      return `=> ${shown.text}`;
    });
    return [...events, ...responses].join('\n');
  };
}

function showEvent(event: AdsServerEvent): string {
  switch (event.kind) {
    case 'ack':
      return `ack ${shortOf(event.typeUrl)} ${[...event.names, ...event.removed.map((name) => `-${name}`)].join(' ')}`.trim();
    case 'nack':
      return `nack ${shortOf(event.typeUrl)}${showRejected(event.rejected)}`;
    case 'broken':
      return `broken ${event.error.message}`;
    default:
      return '';
  }
}

function showRejected(rejected: ReadonlyMap<string, string>): string {
  return rejected.size === 0 ? '' : ` rejected ${[...rejected].map((entry) => entry.join('@')).join(' ')}`;
}
