/**
 * IP addresses between text and octets, strictly: what has a second spelling (`010.0.0.1`) is refused, as
 * the PROXY protocol demands, so that two hops never read two addresses.
 */

/** Four octets, or null. */
export function parseIpv4(text: string): Uint8Array | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  const bytes = new Uint8Array(4);
  for (const [i, part] of parts.entries()) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return null;
    bytes[i] = Number(part);
  }
  return bytes;
}

/** Sixteen octets, or null. RFC 4291 §2.2, without zones. */
export function parseIpv6(text: string): Uint8Array | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const before = parseGroups(halves[0] ?? '', halves.length === 1);
  const after = halves.length === 1 ? [] : parseGroups(halves[1] ?? '', true);
  if (before === null || after === null) return null;
  const zeros = 16 - before.length - after.length;
  // `::` stands for one group at least.
  if (halves.length === 1 ? zeros !== 0 : zeros < 2) return null;
  const bytes = new Uint8Array(16);
  bytes.set(before, 0);
  bytes.set(after, 16 - after.length);
  return bytes;
}

export function formatIpv4(bytes: Uint8Array, at: number): string {
  return `${bytes[at]}.${bytes[at + 1]}.${bytes[at + 2]}.${bytes[at + 3]}`;
}

/** RFC 5952: lower case, the first of the longest runs of zero groups shortened, mapped IPv4 as IPv4. */
export function formatIpv6(bytes: Uint8Array, at: number): string {
  if (isMappedIpv4(bytes, at)) return formatIpv4(bytes, at + 12);
  const groups = Array.from(
    { length: 8 },
    (_, i) => ((bytes[at + 2 * i] ?? 0) << 8) | (bytes[at + 2 * i + 1] ?? 0),
  );
  let start = -1;
  let longest = 1;
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === 0) length++;
    if (length > longest) [start, longest] = [i, length];
    i += length;
  }
  const text = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  return start < 0 ? text(0, 8) : `${text(0, start)}::${text(start + longest, 8)}`;
}

/** `::ffff:a.b.c.d`, for a header whose two addresses are of two families. */
export function mapIpv4(ipv4: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes[10] = bytes[11] = 0xff;
  bytes.set(ipv4, 12);
  return bytes;
}

function isMappedIpv4(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 10; i++) if (bytes[at + i] !== 0) return false;
  return bytes[at + 10] === 0xff && bytes[at + 11] === 0xff;
}

/** Octets of `a:b:…`; the last group may be an IPv4 address where the text ends there. */
function parseGroups(text: string, mayEndInIpv4: boolean): number[] | null {
  if (text === '') return [];
  const groups = text.split(':');
  const bytes: number[] = [];
  for (const [i, group] of groups.entries()) {
    if (mayEndInIpv4 && i === groups.length - 1 && group.includes('.')) {
      const ipv4 = parseIpv4(group);
      if (ipv4 === null) return null;
      bytes.push(...ipv4);
      continue;
    }
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return null;
    const value = Number.parseInt(group, 16);
    bytes.push(value >> 8, value & 0xff);
  }
  return bytes.length > 16 ? null : bytes;
}
