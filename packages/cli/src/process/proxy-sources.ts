/**
 * What a proxy's bundle is made of: every source file of the packages that it is built from, and the versions of the
 * packages they load. The key changes when a bundle would come out different: with content and names of files, with
 * Bun, with the options; not with tests, times or where the tree lies.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** ARCHITECTURE.md: the proxy, and what it may import. */
const packages = ['identity', 'proxy', 'runtime', 'wire', 'xds'];
/** Of 64 digits; enough that two bundles never share a folder. */
const keyDigits = 24;

const isSource = (name: string): boolean =>
  name.endsWith('.ts') && !/\.(?:test|test-double|fuzz|fixture|bench)\.ts$/.test(name);

/** `options`: everything beside the sources that shapes the output. Throws when the tree cannot be read. */
export function sourceKey(root: string, options: object): string {
  const hash = createHash('sha256');
  hash.update(`${Bun.version} ${Bun.revision} ${JSON.stringify(options)}\n`);
  hash.update(readFileSync(join(root, 'package-lock.json')));
  for (const name of packages) {
    const folder = join(root, 'packages', name);
    hash.update(`${name}\n`).update(readFileSync(join(folder, 'package.json')));
    for (const path of readdirSync(join(folder, 'src'), { recursive: true, encoding: 'utf8' }).sort()) {
      if (!isSource(path)) continue;
      const content = readFileSync(join(folder, 'src', path));
      hash.update(`${path} ${content.length}\n`).update(content);
    }
  }
  return hash.digest('hex').slice(0, keyDigits);
}
