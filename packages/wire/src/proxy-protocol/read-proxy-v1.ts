/** The line of version 1 (§2.1): words apart by exactly one space, numbers in their only spelling. */
import { formatIpv6, parseIpv4, parseIpv6 } from './ip-text.ts';
import type { ProxyHeader } from './proxy-header.ts';

/** `line` is without its CRLF. The header, or what is wrong with it. */
export function parseProxyV1(line: string): ProxyHeader | string {
  const words = line.split(' ');
  const [, family = '', source = '', destination = '', sourcePort = '', destinationPort = ''] = words;
  // What follows UNKNOWN must be ignored.
  if (family === 'UNKNOWN') return unknown;
  if (family !== 'TCP4' && family !== 'TCP6') return 'the protocol is neither TCP4, TCP6 nor UNKNOWN';
  if (words.length !== 6) return 'the line does not have six words';
  const addresses = [readAddress(source, family), readAddress(destination, family)];
  const ports = [readPort(sourcePort), readPort(destinationPort)];
  const [from, to] = addresses;
  const [fromPort, toPort] = ports;
  if (from == null || to == null) return `an address is not one of ${family}`;
  if (fromPort == null || toPort == null) return 'a port is not a decimal number up to 65535';
  return {
    version: 1,
    command: 'PROXY',
    family: family === 'TCP4' ? 'INET' : 'INET6',
    transport: 'STREAM',
    source: { address: from, port: fromPort },
    destination: { address: to, port: toPort },
    tlvs: [],
  };
}

const unknown: ProxyHeader = {
  version: 1,
  command: 'PROXY',
  family: 'UNSPEC',
  transport: 'UNSPEC',
  source: null,
  destination: null,
  tlvs: [],
};

/** In canonical spelling. */
function readAddress(text: string, family: 'TCP4' | 'TCP6'): string | null {
  if (family === 'TCP4') return parseIpv4(text) === null ? null : text;
  const bytes = parseIpv6(text);
  return bytes === null ? null : formatIpv6(bytes, 0);
}

function readPort(text: string): number | null {
  if (!/^(0|[1-9][0-9]{0,4})$/.test(text)) return null;
  const port = Number(text);
  return port > 65_535 ? null : port;
}
