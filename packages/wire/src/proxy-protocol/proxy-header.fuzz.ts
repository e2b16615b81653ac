/** No octets make the reader throw, depend on how they are cut, or give what does not read back the same. */
import { PP2 } from './proxy-header.ts';
import { readProxyHeader } from './read-proxy-header.ts';
import { readProxySsl } from './ssl-info.ts';
import { writeProxyV1, writeProxyV2 } from './write-proxy-header.ts';

const from = { address: '192.0.2.7', port: 40_000 };
const to = { address: '198.51.100.1', port: 443 };
const six = { address: '2001:db8::1', port: 1 };
const tlvs = [
  { type: PP2.alpn, value: Uint8Array.of(0x68, 0x32) },
  { type: PP2.ssl, value: Uint8Array.of(1, 0, 0, 0, 0, PP2.sslVersion, 0, 3, 0x54, 0x4c, 0x53) },
];

export default {
  name: 'proxy-header',
  seeds: (): Uint8Array[] => [
    writeProxyV1(from, to),
    writeProxyV1(six, to),
    writeProxyV1(null, null),
    writeProxyV2(from, to),
    writeProxyV2(six, six, { tlvs, withChecksum: true }),
    writeProxyV2(null, null),
  ],
  run(bytes: Uint8Array): void {
    const whole = readProxyHeader(bytes);
    for (let end = 1; end < Math.min(bytes.length, 300); end++) {
      const part = readProxyHeader(bytes.subarray(0, end));
      // A verdict on fewer octets is final.
      if (part.kind !== 'needMore' && part.kind !== whole.kind)
        throw new Error(`${part.kind} of ${end} octets became ${whole.kind}`);
    }
    if (whole.kind !== 'header') return;
    if (whole.byteLength > bytes.length) throw new Error('consumes more than there is');
    readProxySsl(whole.header.tlvs);
    const { source, destination, family, version, command } = whole.header;
    if (command === 'LOCAL' || (family !== 'INET' && family !== 'INET6')) return;
    const again = readProxyHeader(
      version === 1
        ? writeProxyV1(source, destination)
        : writeProxyV2(source, destination, { tlvs: whole.header.tlvs }),
    );
    if (again.kind !== 'header') throw new Error('what was read does not read back');
    if (
      JSON.stringify([again.header.source, again.header.destination]) !==
      JSON.stringify([source, destination])
    )
      throw new Error('the addresses changed on the way');
  },
};
