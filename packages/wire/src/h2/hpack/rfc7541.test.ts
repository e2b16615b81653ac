import { describe, expect, test } from 'bun:test';
import { latin1Bytes } from '../../headers/bytes.ts';
import { FIELD_SENSITIVE } from '../../headers/header-list.ts';
import { join } from '../frame-builder.ts';
import { HpackDecoder } from './decoder.ts';
import { HpackEncoder } from './encoder.ts';
import { FieldCollector, decodeFields, encodeFields, hexBytes, type Field } from './field-collector.ts';
import { CODES, CODE_BITS } from './huffman-codes.ts';
import { decodeHuffman, encodeHuffman, huffmanDecodedBound, huffmanLength } from './huffman.ts';
import { writeInteger } from './primitives.ts';

/** Blocks of one connection, each with its fields and the size of the table after it. */
function expectBlocks(decoder: HpackDecoder, blocks: readonly (readonly [string, Field[], number])[]): void {
  for (const [hex, fields, tableBytes] of blocks) {
    expect(decodeFields(decoder, hexBytes(hex))).toEqual(fields);
    expect(decoder.tableByteCount).toBe(tableBytes);
  }
}

const request1: Field[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'www.example.com'],
];
const request2: Field[] = [...request1, ['cache-control', 'no-cache']];
const request3: Field[] = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':path', '/index.html'],
  [':authority', 'www.example.com'],
  ['custom-key', 'custom-value'],
];
const response1: Field[] = [
  [':status', '302'],
  ['cache-control', 'private'],
  ['date', 'Mon, 21 Oct 2013 20:13:21 GMT'],
  ['location', 'https://www.example.com'],
];
const response2: Field[] = [[':status', '307'], ...response1.slice(1)];
const response3: Field[] = [
  [':status', '200'],
  ['cache-control', 'private'],
  ['date', 'Mon, 21 Oct 2013 20:13:22 GMT'],
  ['location', 'https://www.example.com'],
  ['content-encoding', 'gzip'],
  ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
];

describe('RFC 7541 appendix C', () => {
  test('C.1: integers', () => {
    const out = new Uint8Array(8);
    const written = (prefix: number, value: number): string =>
      Buffer.from(out.slice(0, writeInteger(out, 0, 0, prefix, value))).toString('hex');
    expect(written(0x1f, 10)).toBe('0a');
    expect(written(0x1f, 1337)).toBe('1f9a0a');
    expect(written(0xff, 42)).toBe('2a');
  });

  test('C.2: each representation', () => {
    expectBlocks(new HpackDecoder(), [
      [
        '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
        [['custom-key', 'custom-header']],
        55,
      ],
    ]);
    expectBlocks(new HpackDecoder(), [
      ['040c 2f73 616d 706c 652f 7061 7468', [[':path', '/sample/path']], 0],
      ['1008 7061 7373 776f 7264 0673 6563 7265 74', [['password', 'secret']], 0],
      ['82', [[':method', 'GET']], 0],
    ]);
  });

  test('C.3: requests without Huffman coding', () => {
    expectBlocks(new HpackDecoder(), [
      ['8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d', request1, 57],
      ['8286 84be 5808 6e6f 2d63 6163 6865', request2, 110],
      ['8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65', request3, 164],
    ]);
  });

  test('C.4: requests with Huffman coding', () => {
    expectBlocks(new HpackDecoder(), [
      ['8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff', request1, 57],
      ['8286 84be 5886 a8eb 1064 9cbf', request2, 110],
      ['8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf', request3, 164],
    ]);
  });

  test('C.5: responses without Huffman coding, in a table of 256 octets', () => {
    const decoder = new HpackDecoder();
    decoder.setLimit(256);
    expectBlocks(decoder, [
      [
        `3fe101 4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133
         3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
        response1,
        222,
      ],
      ['4803 3330 37c1 c0bf', response2, 222],
      [
        `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970
         7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61
         6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31`,
        response3,
        215,
      ],
    ]);
  });

  test('C.6: responses with Huffman coding, in a table of 256 octets', () => {
    const decoder = new HpackDecoder();
    decoder.setLimit(256);
    expectBlocks(decoder, [
      [
        `3fe101 4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d
         29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
        response1,
        222,
      ],
      ['4883 640e ffc1 c0bf', response2, 222],
      [
        `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2
         e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
        response3,
        215,
      ],
    ]);
  });
});

describe('RFC 7541 §4.2: table size updates', () => {
  const update = (size: number): Uint8Array => {
    const out = new Uint8Array(8);
    return out.slice(0, writeInteger(out, 0, 0x20, 0x1f, size));
  };
  const failure = (...blocks: Uint8Array[]): string => {
    const decoder = new HpackDecoder();
    for (const octets of blocks) decodeFields(decoder, octets);
    return decoder.failure;
  };

  test('stand at the start of a block, at most two, within the limit', () => {
    const get = Uint8Array.of(0x82);
    expect(failure(join(update(0), update(4096), get))).toBe('');
    expect(failure(join(get, update(0)))).toBe('table size update after a field');
    expect(failure(join(update(1), update(2), update(3)))).toBe('more than two table size updates');
    expect(failure(update(4097))).toBe('table size update above the limit');
  });

  test('must follow a limit that fell below the table', () => {
    const decoder = new HpackDecoder();
    decoder.setLimit(100);
    expect(decodeFields(decoder, Uint8Array.of(0x82))).toBe('table size update missing');
    const obedient = new HpackDecoder();
    obedient.setLimit(100);
    expect(decodeFields(obedient, join(update(100), Uint8Array.of(0x82)))).toEqual([[':method', 'GET']]);
  });

  test('are written for the smallest and the last size, once', () => {
    const encoder = new HpackEncoder(4096);
    encoder.setPeerLimit(50);
    encoder.setPeerLimit(200);
    encoder.setPeerLimit(9000);
    expect([...encodeFields(encoder, [[':method', 'GET']])].slice(0, 5)).toEqual([
      ...join(update(50), update(4096)),
    ]);
    expect(encodeFields(encoder, [[':status', '200']])).toEqual(Uint8Array.of(0x88));
  });

  test('an encoder with a small table of its own says so first', () => {
    const encoder = new HpackEncoder(100);
    expect(encodeFields(encoder, [[':status', '200']])).toEqual(join(update(100), Uint8Array.of(0x88)));
  });
});

describe('RFC 7541 §5, §6: what does not decode', () => {
  const failureOf = (hex: string): Field[] | string => decodeFields(new HpackDecoder(), hexBytes(hex));

  test('cut off at any octet it fails without a throw', () => {
    const whole = hexBytes(
      '8287 8541 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
    );
    for (let end = 0; end < whole.length; end++) {
      const decoded = decodeFields(new HpackDecoder(), whole.slice(0, end));
      expect(typeof decoded === 'string' || decoded.length < 5).toBe(true);
    }
  });

  test('§5.1: integers that are too large or have no end', () => {
    expect(failureOf('ffffffffff0f')).toBe('integer too large');
    expect(failureOf('ff80808080808000')).toBe('integer too large');
    expect(failureOf('ff8080')).toBe('block ends within an integer');
    expect(failureOf('007fffffff7f')).toBe('string longer than its block');
  });

  test('§5.2: padding of eight bits, of zeros, and EOS', () => {
    expect(failureOf('0081ff00')).toBe('invalid Huffman code');
    expect(failureOf('00821fff00')).toBe('invalid Huffman code');
    expect(failureOf('00811800')).toBe('invalid Huffman code');
    expect(failureOf('0084ffffffff00')).toBe('invalid Huffman code');
  });

  test('§6.1: index 0, and beyond both tables', () => {
    for (const hex of ['80', 'be', 'ff00', '7f00', '0f2f00', '1f2f00'])
      expect(failureOf(hex)).toBe('index outside of the tables');
  });
});

describe('RFC 7541 §6.2.3, §7.1.3: fields that are never indexed', () => {
  test('are marked, and stay so when forwarded', () => {
    const collector = new FieldCollector();
    const block = hexBytes('1008 7061 7373 776f 7264 0673 6563 7265 74');
    new HpackDecoder().decode(block, 0, block.length, true, collector);
    expect(collector.sensitive).toEqual(['password']);

    const line = latin1Bytes('passwordsecret');
    const out = new Uint8Array(64);
    const encoder = new HpackEncoder(4096);
    for (let i = 0; i < 3; i++) {
      const end = encoder.field(out, 0, 0, line, 0, 8, 8, 14, FIELD_SENSITIVE);
      expect(Buffer.from(out.slice(0, end)).toString('hex')).toBe(Buffer.from(block).toString('hex'));
    }
  });

  test('Authorization, Proxy-Authorization and short cookies, whatever they were', () => {
    const encoder = new HpackEncoder(4096);
    const fields: Field[] = [
      ['authorization', 'Basic dTpw'],
      ['proxy-authorization', 'Basic dTpw'],
      ['cookie', 'a=1'],
    ];
    const first = encodeFields(encoder, fields);
    for (let i = 0; i < 3; i++) expect(encodeFields(encoder, fields)).toEqual(first);
    const collector = new FieldCollector();
    new HpackDecoder().decode(first, 0, first.length, true, collector);
    expect(collector.sensitive).toEqual(['authorization', 'proxy-authorization', 'cookie']);
    expect(encoder.tableByteCount).toBe(0);
  });
});

describe('the encoder', () => {
  const fields: Field[] = [
    [':method', 'GET'],
    [':path', '/orders?page=2'],
    [':authority', 'orders.example'],
    ['user-agent', 'curl/8.1'],
    ['x-unknown-name', 'the same each time'],
  ];

  test('spends an octet a field on what repeats', () => {
    const encoder = new HpackEncoder(4096);
    encodeFields(encoder, fields);
    encodeFields(encoder, fields);
    expect(encodeFields(encoder, fields).length).toBe(fields.length);
  });

  test('does not let what never repeats push it out', () => {
    const encoder = new HpackEncoder(4096);
    for (let i = 0; i < 2000; i++) encodeFields(encoder, [...fields, ['x-request-id', `${i * 7919}-${i}`]]);
    expect(encodeFields(encoder, fields).length).toBe(fields.length);
  });

  test('never uses more than the peer’s table', () => {
    const encoder = new HpackEncoder(4096);
    const decoder = new HpackDecoder();
    encoder.setPeerLimit(0);
    for (let i = 0; i < 4; i++) expect(decodeFields(decoder, encodeFields(encoder, fields))).toEqual(fields);
    expect([encoder.tableByteCount, decoder.tableByteCount]).toEqual([0, 0]);
  });
});

describe('RFC 7541 appendix B', () => {
  test('is a complete prefix code', () => {
    let space = 0;
    for (const bits of CODE_BITS) space += 2 ** (30 - bits);
    expect(space).toBe(2 ** 30);
    expect([CODES[0x30], CODES[0x00], CODES[0xff], CODES[256]]).toEqual([0x0, 0x1ff8, 0x3ffffee, 0x3fffffff]);
  });

  test('codes every octet, and back', () => {
    const octets = Uint8Array.from({ length: 1024 }, (_, i) => (i * 37 + (i >> 3)) & 0xff);
    const coded = new Uint8Array(huffmanLength(octets, 0, octets.length));
    expect(encodeHuffman(octets, 0, octets.length, coded, 0)).toBe(coded.length);
    const decoded = new Uint8Array(huffmanDecodedBound(coded.length));
    const end = decodeHuffman(coded, 0, coded.length, decoded, 0);
    expect(decoded.slice(0, end)).toEqual(octets);
  });
});
