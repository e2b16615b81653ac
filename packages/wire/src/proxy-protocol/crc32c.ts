/** CRC-32C (Castagnoli, RFC 4960 appendix B), the checksum that a header of version 2 may carry. */

/** The reversed polynomial 0x1EDC6F41. */
const polynomial = 0x82f63b78;

const table: Uint32Array = makeTable();

/** `zeroed`: the four octets from here count as 0, as those of the checksum itself do; -1 = none. */
export function crc32c(bytes: Uint8Array, start: number, end: number, zeroed = -1): number {
  let crc = 0xffffffff;
  for (let i = start; i < end; i++) {
    const octet = i >= zeroed && i < zeroed + 4 && zeroed >= 0 ? 0 : bytes[i]!;
    crc = table[(crc ^ octet) & 0xff]! ^ (crc >>> 8);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function makeTable(): Uint32Array {
  const made = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    let value = i;
    for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ polynomial : value >>> 1;
    made[i] = value >>> 0;
  }
  return made;
}
