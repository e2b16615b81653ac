/** HPACK: no octets make the decoder throw or outgrow its table, and what it decodes is encoded to the same. */
import { HpackDecoder } from './decoder.ts';
import { HpackEncoder } from './encoder.ts';
import { decodeFields, encodeFields, hexBytes } from './field-collector.ts';

const seeds = [
  '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
  '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
  '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
  '3fe101 4803 3330 3258 0770 7269 7661 7465',
  '1008 7061 7373 776f 7264 0673 6563 7265 74',
  '20 3fe1 1f 82',
];

export default {
  name: 'hpack',
  seeds: (): Uint8Array[] => seeds.map(hexBytes),
  /** The first octet says where the input is cut into two blocks. */
  run(bytes: Uint8Array): void {
    const cut = Math.min(bytes.length, bytes[0] ?? 0);
    const decoder = new HpackDecoder();
    const unstable = new HpackDecoder();
    const again = new HpackDecoder();
    const encoder = new HpackEncoder(4096);
    for (const block of [bytes.subarray(0, cut), bytes.subarray(cut), bytes.subarray(0, cut)]) {
      const fields = decodeFields(decoder, block);
      if (decoder.tableByteCount > 4096) throw new Error('the table outgrew its size');
      if (JSON.stringify(decodeFields(unstable, block, false)) !== JSON.stringify(fields))
        throw new Error('copied and referred literals differ');
      if (typeof fields === 'string') return;
      // Only what may be sent is encoded: names are tokens in lower case, a status has three digits.
      const sendable = fields.filter(
        ([name, value]) =>
          /^(:method|:path|:scheme|:authority|[a-z0-9!#$%&'*+.^_`|~-]+)$/.test(name) ||
          (name === ':status' && /^[1-5]\d\d$/.test(value)),
      );
      const decoded = decodeFields(again, encodeFields(encoder, sendable));
      if (JSON.stringify(decoded) !== JSON.stringify(sendable))
        throw new Error(`${JSON.stringify(sendable)} became ${JSON.stringify(decoded)}`);
    }
  },
};
