/** A tar archive (ustar) of texts, for bug reports. */

export interface TarEntry {
  /** At most 99 bytes, or it is refused. */
  readonly name: string;
  readonly content: string;
}

const blockBytes = 512;
const maxNameBytes = 99;

/** @param mtimeMs time of all entries. Throws RangeError for a name that does not fit. */
export function renderTar(entries: readonly TarEntry[], mtimeMs: number): Uint8Array {
  const parts: Buffer[] = [];
  for (const { name, content } of entries) {
    const body = Buffer.from(content, 'utf8');
    parts.push(header(name, body.length, mtimeMs), body, Buffer.alloc(padding(body.length)));
  }
  // Two empty blocks end an archive.
  parts.push(Buffer.alloc(blockBytes * 2));
  return Buffer.concat(parts);
}

function header(name: string, size: number, mtimeMs: number): Buffer {
  if (Buffer.byteLength(name) > maxNameBytes)
    throw new RangeError(`the name ${name} is too long for the archive`);
  const block = Buffer.alloc(blockBytes);
  block.write(name, 0);
  block.write(octal(0o600, 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  block.write(octal(size, 11), 124);
  block.write(octal(Math.floor(mtimeMs / 1000), 11), 136);
  // The checksum counts its own field as blanks.
  block.write('        ', 148);
  block.write('0', 156);
  block.write('ustar\u000000', 257);
  const checksum = block.reduce((sum, byte) => sum + byte, 0);
  block.write(`${octal(checksum, 6)}\u0000 `, 148);
  return block;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, '0');
}

function padding(size: number): number {
  return (blockBytes - (size % blockBytes)) % blockBytes;
}
