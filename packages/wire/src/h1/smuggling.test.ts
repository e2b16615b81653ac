import { describe, expect, test } from 'bun:test';
import { createServer, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { latin1Bytes } from '../headers/bytes.ts';
import { forwardRequests } from './forward.ts';
import { transcribeRequests } from './transcript.ts';

const post = 'POST / HTTP/1.1\r\nHost: a\r\n';
const inner = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n';

/** Ways to write a length that some server reads differently: name → the message and what hides in it. */
const ambiguous: Readonly<Record<string, string>> = {
  'CL.TE': `${post}Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
  'TE.CL': `${post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n${inner}\r\n0\r\n\r\n`,
  'CL.CL': `${post}Content-Length: 0\r\nContent-Length: ${inner.length}\r\n\r\n${inner}`,
  'CL list': `${post}Content-Length: 0, ${inner.length}\r\n\r\n${inner}`,
  'TE.TE with an unknown coding': `${post}Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n\r\n0\r\n\r\n${inner}`,
  'TE with x before chunked': `${post}Transfer-Encoding: xchunked\r\n\r\n${inner}`,
  'TE with space before the colon': `${post}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n${inner}`,
  'CL with space before the colon': `${post}Content-Length : 5\r\n\r\n${inner}`,
  'TE folded': `${post}Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n${inner}`,
  'TE after a folded line': `${post}X: x\r\n Transfer-Encoding: chunked\r\n\r\n${inner}`,
  'TE hidden after LF': `${post}X: x\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
  'TE hidden after CR': `${post}X: x\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
  'TE with a vertical tab': `${post}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n${inner}`,
  'TE with a NUL': `${post}Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n${inner}`,
  'TE quoted': `${post}Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n${inner}`,
  'TE identity with CL': `${post}Content-Length: 3\r\nTransfer-Encoding: identity\r\n\r\nabc${inner}`,
  'TE empty with CL': `${post}Content-Length: 3\r\nTransfer-Encoding:\r\n\r\nabc${inner}`,
  'TE in HTTP/1.0': `POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${inner}`,
  'CL with a sign': `${post}Content-Length: +0\r\n\r\n${inner}`,
  'CL in hex': `${post}Content-Length: 0x0\r\n\r\n${inner}`,
  'CL that overflows to 0': `${post}Content-Length: 18446744073709551616\r\n\r\n${inner}`,
  'CL with a space inside': `${post}Content-Length: 1 0\r\n\r\n${inner}`,
  'field name with a NUL': `${post}Content-Length\x00: 5\r\n\r\n${inner}`,
  'two Hosts': `GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n`,
  'Host in a line before the first field': `GET / HTTP/1.1\r\n Host: b\r\nHost: a\r\n\r\n`,
  'bare LF after the request line': `GET / HTTP/1.1\nHost: a\r\n\r\n`,
};
/** The same inside a chunked body: nothing after the mistake may be read. */
const ambiguousChunks: Readonly<Record<string, string>> = {
  'size with a sign': `+0\r\n\r\n${inner}`,
  'size with 0x': `0x0\r\n\r\n${inner}`,
  'size that overflows': `10000000000000005\r\nhello\r\n0\r\n\r\n${inner}`,
  'size with an underscore': `1_0\r\n\r\n${inner}`,
  'extension ended by LF': `2;\nxx\r\n4c\r\n0\r\n\r\n${inner}`,
  'extension value ended by LF': `2;a="\n"\r\nab\r\n0\r\n\r\n${inner}`,
  'size line ended by LF': `5\nhello\r\n0\r\n\r\n${inner}`,
  'size line ended by CR': `5\rhello\r\n0\r\n\r\n${inner}`,
  'content longer than its size': `1\r\nxx0\r\n\r\n${inner}`,
  'content ended by LF': `1\r\nx\n0\r\n\r\n${inner}`,
  'trailer with a length': `0\r\nContent-Length: 9\r\n\r\n${inner}`,
  'trailer with space before the colon': `0\r\nX : y\r\n\r\n${inner}`,
};

describe('nothing ambiguous is forwarded', () => {
  for (const [name, text] of Object.entries(ambiguous)) {
    test(name, () => {
      const bytes = latin1Bytes(text);
      expect(forwardRequests(bytes)).toEqual({ messages: [], hasFailed: true });
      for (const size of [1, 2, 7]) {
        const lines = transcribeRequests(bytes, { pieces: [size] });
        expect(lines.length).toBe(1);
        expect(lines[0]).toStartWith('error h1-');
      }
    });
  }
  for (const [name, content] of Object.entries(ambiguousChunks)) {
    test(`chunked: ${name}`, () => {
      const bytes = latin1Bytes(`${post}Transfer-Encoding: chunked\r\n\r\n${content}`);
      expect(forwardRequests(bytes)).toEqual({ messages: [], hasFailed: true });
      for (const size of [1, 2, 7]) {
        const lines = transcribeRequests(bytes, { pieces: [size] });
        expect(lines.filter((line) => line.startsWith('request ')).length).toBe(1);
        expect(lines.at(-1)).toStartWith('error h1-');
      }
    });
  }
});

test('what is forwarded means the same to node:http as to us', async () => {
  const texts = [
    `${post}Content-Length: 5\r\n\r\nhello`,
    `${post}Transfer-Encoding: Chunked\r\nTrailer: x-t\r\n\r\n3;a="b;c"\r\nhel\r\n00002\r\nlo\r\n0\r\nX-T: 1\r\n\r\n`,
    'GET http://other:81/p?q HTTP/1.1\r\nHost: a\r\nX:\t y \r\nConnection: x\r\n\r\n',
    'GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n',
    `${post}Content-Length: 000\r\n\r\n`,
  ];
  const { messages } = forwardRequests(latin1Bytes(texts.join('')));
  expect(messages.length).toBe(texts.length);
  const seen: string[] = [];
  const server = createServer(async (request: IncomingMessage, response) => {
    let content = '';
    for await (const piece of request) content += String(piece);
    seen.push(`${request.method} ${request.url} ${request.headers.host} ${JSON.stringify(content)}`);
    response.end();
  });
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
  });
  for (const message of messages) {
    await new Promise<void>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => socket.write(message));
      socket.on('error', reject);
      socket.on('data', () => socket.destroy());
      socket.on('close', () => resolve());
    });
  }
  server.close();
  expect(seen).toEqual([
    'POST / a "hello"',
    'POST / a "hello"',
    'GET /p?q other:81 ""',
    'GET / a ""',
    'POST / a ""',
  ]);
});
