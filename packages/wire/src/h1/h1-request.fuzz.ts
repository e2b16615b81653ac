/** Requests: no octets make the parser throw, depend on splits, or forward what reads back differently. */
import { decodeLatin1, latin1Bytes } from '../headers/bytes.ts';
import { forwardRequests } from './forward.ts';
import { transcribeRequests } from './transcript.ts';

const host = 'Host: a\r\n';
const seeds = [
  `GET /path?query HTTP/1.1\r\n${host}Accept: */*\r\nUser-Agent: x\r\n\r\n`,
  `POST / HTTP/1.1\r\n${host}Content-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n${host}\r\n`,
  `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n5;a="b"\r\nhello\r\n0\r\nX-T: v\r\n\r\n`,
  `GET http://b:81/ HTTP/1.1\r\n${host}Connection: close, x-a\r\nX-A: b\r\nTE: trailers\r\n\r\n`,
  'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nabc',
  `GET / HTTP/1.1\r\n${host}Connection: upgrade\r\nUpgrade: websocket\r\nExpect: 100-continue\r\n\r\n`,
  'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nOPTIONS * HTTP/1.1\r\nHost:\r\n\r\n',
];

export default {
  name: 'h1-request',
  seeds: (): Uint8Array[] => seeds.map(latin1Bytes),
  run(bytes: Uint8Array): void {
    const whole = transcribeRequests(bytes, { endsConnection: true });
    for (const pieces of [[1], [2, 7], [40, 3]])
      expectSame(transcribeRequests(bytes, { pieces, endsConnection: true }), whole, 'split');
    for (const message of forwardRequests(bytes).messages) {
      const sent = transcribeRequests(message);
      if (!sent.includes('end') || sent.some((line) => line.startsWith('error'))) {
        throw new Error(
          `forwarded what does not read back: ${JSON.stringify(decodeLatin1(message, 0, message.length))}: ${sent.join(' | ')}`,
        );
      }
      // A second hop must pass on exactly what the first one sent.
      const again = forwardRequests(message).messages;
      if (
        again.length !== 1 ||
        decodeLatin1(again[0]!, 0, again[0]!.length) !== decodeLatin1(message, 0, message.length)
      ) {
        throw new Error(
          `a second hop sends something else than ${JSON.stringify(decodeLatin1(message, 0, message.length))}`,
        );
      }
    }
  },
};

function expectSame(a: readonly string[], b: readonly string[], what: string): void {
  if (a.join('\n') !== b.join('\n')) throw new Error(`${what}:\n${a.join('\n')}\n-- whole:\n${b.join('\n')}`);
}
