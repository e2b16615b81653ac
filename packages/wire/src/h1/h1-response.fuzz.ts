/** Responses: no octets make the parser throw, or report other events when they are split. */
import { latin1Bytes } from '../headers/bytes.ts';
import { transcribeResponses } from './transcript.ts';

const seeds = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n',
  'HTTP/1.1 200 OK\r\nX: a\r\n folded\r\n\r\nuntil the end',
  'HTTP/1.0 304 Not Modified\r\nContent-Length: 9\r\nConnection: keep-alive\r\n\r\n\r\nHTTP/1.1 204\r\n\r\n',
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n\x00\x01',
];
const expectations = [['GET', 'GET'], ['HEAD', 'GET'], ['CONNECT'], ['GET+upgrade', 'GET'], []];

export default {
  name: 'h1-response',
  seeds: (): Uint8Array[] => seeds.map(latin1Bytes),
  run(bytes: Uint8Array): void {
    for (const methods of expectations) {
      const whole = transcribeResponses(bytes, methods, { endsConnection: true }).join('\n');
      for (const pieces of [[1], [3, 11]]) {
        const split = transcribeResponses(bytes, methods, { pieces, endsConnection: true }).join('\n');
        if (split !== whole) throw new Error(`split after ${methods.join()}:\n${split}\n-- whole:\n${whole}`);
      }
    }
  },
};
