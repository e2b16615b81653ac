/**
 * Finds the Bun executable that npm installed, without relying on Bun's install script.
 *
 * npm may run with install scripts off, and then `node_modules/.bin/bun` is a stub. The real binary
 * always arrives as an optional dependency `@oven/bun-<os>-<cpu>[-baseline|-musl]`, so we look there.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const projectRoot = dirname(dirname(fileURLToPath(import.meta.url)));

/** Path of the Bun executable; throws an Error whose message says what to run. */
export function findBun() {
  if (process.env.SLUICE_BUN) return process.env.SLUICE_BUN;
  for (const name of candidates()) {
    for (const file of ['bun', 'bun.exe']) {
      const path = join(projectRoot, 'node_modules', '@oven', name, 'bin', file);
      if (existsSync(path)) return path;
    }
  }
  throw new Error(
    `no Bun binary for ${process.platform}/${process.arch} under node_modules/@oven; run "npm ci" in ${projectRoot} first`,
  );
}

function candidates() {
  const os = process.platform === 'win32' ? 'windows' : process.platform;
  const cpu = process.arch === 'arm64' ? 'aarch64' : process.arch;
  const base = `bun-${os}-${cpu}`;
  const musl = os === 'linux' && isMusl() ? '-musl' : '';
  const baseline = cpu === 'x64' && os === 'linux' && !hasAvx2() ? '-baseline' : '';
  return [
    ...new Set([
      `${base}${musl}${baseline}`,
      `${base}${baseline}`,
      `${base}${musl}`,
      base,
      `${base}-baseline`,
    ]),
  ];
}

function isMusl() {
  const report = process.report?.getReport?.();
  const header = typeof report === 'string' ? JSON.parse(report).header : report?.header;
  return header !== undefined && !header.glibcVersionRuntime;
}

function hasAvx2() {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8').includes(' avx2');
  } catch {
    return true; // Not Linux, or no /proc: the plain build is the right first guess.
  }
}
