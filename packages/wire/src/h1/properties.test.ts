import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { decodeLatin1, latin1Bytes } from '../headers/bytes.ts';
import { forwardRequests } from './forward.ts';
import { hostileText, pieces, requestText, responseText } from './messages.arbitrary.ts';
import { transcribeRequests, transcribeResponses } from './transcript.ts';

const runs = { numRuns: 400, seed: 9112 };

describe('any split gives the same events', () => {
  test('valid requests, pipelined', () => {
    fc.assert(
      fc.property(fc.array(requestText, { minLength: 1, maxLength: 3 }), pieces, (texts, sizes) => {
        const bytes = latin1Bytes(texts.join(''));
        const whole = transcribeRequests(bytes);
        expect(whole.filter((line) => line === 'end').length).toBe(texts.length);
        expect(transcribeRequests(bytes, { pieces: sizes })).toEqual(whole);
      }),
      runs,
    );
  });
  test('valid responses, pipelined', () => {
    fc.assert(
      fc.property(fc.array(responseText, { minLength: 1, maxLength: 3 }), pieces, (texts, sizes) => {
        const bytes = latin1Bytes(texts.join(''));
        const methods = texts.map(() => 'GET');
        const whole = transcribeResponses(bytes, methods);
        expect(whole.filter((line) => line === 'end').length).toBe(texts.length);
        expect(transcribeResponses(bytes, methods, { pieces: sizes })).toEqual(whole);
      }),
      runs,
    );
  });
  test('hostile octets, whose errors are the same too', () => {
    fc.assert(
      fc.property(hostileText, pieces, fc.boolean(), (text, sizes, endsConnection) => {
        const bytes = latin1Bytes(text);
        expect(transcribeRequests(bytes, { pieces: sizes, endsConnection })).toEqual(
          transcribeRequests(bytes, { endsConnection }),
        );
        const methods = ['GET', 'HEAD', 'CONNECT'];
        expect(transcribeResponses(bytes, methods, { pieces: sizes, endsConnection })).toEqual(
          transcribeResponses(bytes, methods, { endsConnection }),
        );
      }),
      { ...runs, numRuns: 2000 },
    );
  });
});

test('random octets never throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), pieces, (bytes, sizes) => {
      transcribeRequests(bytes, { pieces: sizes, endsConnection: true });
      transcribeResponses(bytes, ['GET'], { pieces: sizes, endsConnection: true });
    }),
    runs,
  );
});

test('what is forwarded reads back as the message that was received', () => {
  fc.assert(
    fc.property(requestText, (text) => {
      const received = latin1Bytes(text);
      const { messages, hasFailed } = forwardRequests(received);
      expect([messages.length, hasFailed]).toEqual([1, false]);
      expect(transcribeRequests(messages[0]!)).toEqual(transcribeRequests(received));
    }),
    runs,
  );
});

test('a message of unchanged lines is forwarded octet by octet', () => {
  fc.assert(
    fc.property(
      requestText.filter((text) => !text.includes('chunked')),
      (text) => {
        const { messages } = forwardRequests(latin1Bytes(text));
        expect(decodeLatin1(messages[0]!, 0, messages[0]!.length)).toBe(text);
      },
    ),
    runs,
  );
});
