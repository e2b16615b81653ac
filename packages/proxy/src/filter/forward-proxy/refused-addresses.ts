/**
 * Addresses that the forward proxy never dials (design §6, Trust). Judged is the address that would really be
 * dialled, after resolution: a name that points at one of these is refused as the address itself is.
 */
import { parseIp, type IpValue } from '../../listener/ip-prefix.ts';

export interface RefusedAddresses {
  isRefused(address: string, port: number): boolean;
}

/** Link-local (cloud metadata services live there), unspecified, multicast, broadcast. */
const always = [
  '0.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '255.255.255.255',
  '::',
  'fe80::/10',
  'ff00::/8',
];

interface Rule {
  readonly bits: number;
  readonly ignoredBits: bigint;
  readonly network: bigint;
  readonly port: number | null;
}

/** `entries`: `ip:port`, `[ip6]:port`, `ip` or `ip/bits`. `onProblem` gets the index of what is none of these. */
export function compileRefused(
  entries: readonly string[],
  onProblem: (index: number) => void,
): RefusedAddresses {
  const rules = always.map(readRule).filter((rule) => rule !== null);
  for (const [index, text] of entries.entries()) {
    const rule = readRule(text);
    if (rule === null) onProblem(index);
    else rules.push(rule);
  }
  return {
    isRefused(address, port) {
      const value = parseIp(unmapped(address));
      // What cannot be read is not dialled.
      if (value === null) return true;
      return rules.some((rule) => (rule.port === null || rule.port === port) && covers(rule, value));
    },
  };
}

function readRule(text: string): Rule | null {
  const withPort = /^(?:\[(?<v6>[^\]]+)\]|(?<v4>[\d.]+)):(?<port>\d{1,5})$/.exec(text)?.groups;
  const [address = '', length] = (withPort?.['v6'] ?? withPort?.['v4'] ?? text).split('/');
  const ip = parseIp(address);
  if (ip === null) return null;
  const bits = length === undefined ? ip.bits : Number(length);
  if (!Number.isInteger(bits) || bits < 0 || bits > ip.bits) return null;
  const ignoredBits = BigInt(ip.bits - bits);
  return {
    bits: ip.bits,
    ignoredBits,
    network: ip.value >> ignoredBits,
    port: withPort ? Number(withPort['port']) : null,
  };
}

function covers(rule: Rule, address: IpValue): boolean {
  return rule.bits === address.bits && address.value >> rule.ignoredBits === rule.network;
}

/** `::ffff:169.254.169.254`, in whatever spelling, dials the IPv4 address. */
function unmapped(address: string): string {
  const ip = parseIp(address);
  if (ip === null || ip.bits !== 128 || ip.value >> 32n !== 0xffffn) return address;
  const low = Number(ip.value & 0xffffffffn);
  return [low >>> 24, (low >>> 16) & 255, (low >>> 8) & 255, low & 255].join('.');
}
