import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { latin1Bytes } from '../headers/bytes.ts';
import { H1RequestParser } from './request-parser.ts';
import { Transcript } from './transcript.ts';

test('path and authority are those of this head, whatever earlier heads of the parser said', () => {
  const word = fc.stringMatching(/^[a-c]{0,3}$/);
  const request = fc.record({
    path: word,
    host: fc.oneof(word, fc.constant('x'.repeat(200))),
    form: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(request, { minLength: 2, maxLength: 12 }), (requests) => {
      const transcript = new Transcript();
      const parser = new H1RequestParser(transcript);
      for (const { path, host, form } of requests) {
        const name = `h${host}`;
        const target = form ? `http://${name}/${path}` : `/${path}`;
        const bytes = latin1Bytes(`GET ${target} HTTP/1.1\r\nHost: ${form ? 'other' : name}\r\n\r\n`);
        parser.execute(bytes, 0, bytes.length);
      }
      const seen = transcript.lines.flatMap((line) => /path=\S+ authority=\S+/.exec(line) ?? []);
      expect(seen).toEqual(requests.map(({ path, host }) => `path=/${path} authority=h${host}`));
    }),
  );
});
