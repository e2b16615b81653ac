/**
 * The first thing that anybody may send, read before anybody was asked who he is: no octets make the reader throw, a
 * verdict on fewer octets is final, and a hello says the same however it is cut into records.
 */
import { readHello } from './client-hello.ts';

const handshake = 22;
/** Records of one octet cost six: what is longer would not fit into the largest hello. */
const maxRecutBytes = 2_000;

const text = (value: string): number[] => [...Buffer.from(value, 'latin1')];
const long = (value: number): number[] => [value >> 8, value & 0xff];
const sized = (body: readonly number[]): number[] => [...long(body.length), ...body];
const short = (body: readonly number[]): number[] => [body.length, ...body];
const extension = (type: number, body: readonly number[]): number[] => [...long(type), ...sized(body)];

function hello(extensions: readonly (readonly number[])[]): number[] {
  const random = Array<number>(32).fill(7);
  const suites = [0x13, 0x01, 0xc0, 0x2b];
  const body = [3, 3, ...random, ...short([1, 2, 3, 4]), ...sized(suites), ...short([0])];
  const all = [...body, ...sized(extensions.flat())];
  return [1, 0, ...long(all.length), ...all];
}

const serverName = extension(0, sized([0, ...sized(text('Reviews.default.svc'))]));
const protocols = extension(16, sized([...short(text('istio-http/1.1')), ...short(text('h2'))]));
const signatures = extension(13, sized([0x04, 0x03, 0x08, 0x04]));

function records(message: readonly number[], size: number): Uint8Array {
  const octets: number[] = [];
  for (let at = 0; at < message.length; at += size)
    octets.push(handshake, 3, 1, ...sized(message.slice(at, at + size)));
  return Uint8Array.from(octets);
}

export default {
  name: 'client-hello',
  seeds: (): Uint8Array[] => [
    records(hello([serverName, protocols, signatures]), 16_384),
    records(hello([serverName, protocols, signatures]), 20),
    records(hello([extension(21, Array<number>(300).fill(0)), protocols]), 100),
    records(hello([]), 16_384),
  ],
  run(bytes: Uint8Array): void {
    const whole = readHello(bytes);
    const verdict = JSON.stringify(whole);
    for (let end = 1; end < Math.min(bytes.length, 400); end++) {
      const part = readHello(bytes.subarray(0, end));
      if (part !== 'incomplete' && JSON.stringify(part) !== verdict)
        throw new Error(`${JSON.stringify(part)} of ${end} octets became ${verdict}`);
    }
    if (whole === null || whole === 'incomplete') return;
    if (whole.serverName !== whole.serverName.toLowerCase()) throw new Error('a server name in capitals');
    if (whole.protocols.some((name) => name.length > 255))
      throw new Error('a protocol longer than its length');
    const message = messageOf(bytes);
    if (message.length > maxRecutBytes) return;
    for (const size of [1, 3, 16_384])
      if (JSON.stringify(readHello(records(message, size))) !== verdict)
        throw new Error(`another hello in records of ${size}`);
  },
};

/** What stands in the records, as the reader takes it: up to the length that the message names. */
function messageOf(bytes: Uint8Array): number[] {
  const octets: number[] = [];
  for (let at = 0; at + 5 <= bytes.length && bytes[at] === handshake;) {
    const size = ((bytes[at + 3] ?? 0) << 8) | (bytes[at + 4] ?? 0);
    octets.push(...bytes.subarray(at + 5, at + 5 + size));
    at += 5 + size;
  }
  const [, high = 0, middle = 0, low = 0] = octets;
  return octets.slice(0, 4 + ((high << 16) | (middle << 8) | low));
}
