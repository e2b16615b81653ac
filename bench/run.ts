/**
 * `npm run bench [-- NAME [NUMBER …] …]`: runs the named benchmarks, or those that compare with a peer, one after the
 * other, each in a process of its own, with the numbers behind its name (seconds, minutes, proxies: its first lines say
 * which). They want a quiet machine; ratios within one run are what counts.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const standard = ['hop', 'latency', 'memory'];
const words = process.argv.slice(2).length > 0 ? process.argv.slice(2) : standard;
const runs: { readonly name: string; readonly file: string; readonly numbers: string[] }[] = [];

for (const word of words) {
  const last = runs.at(-1);
  if (/^\d+$/.test(word) && last !== undefined) last.numbers.push(word);
  else runs.push({ name: word, file: join(import.meta.dir, `${word}.ts`), numbers: [] });
}
// Before the first of them has taken its minutes.
for (const { name, file } of runs) {
  if (existsSync(file)) continue;
  console.error(
    `there is no benchmark ${name}; there are hop, h2, grpc, tcp, tls, tls-latency, latency, memory, propagation, reload, soak, plain-proxy, h1-codec, telemetry`,
  );
  process.exit(2);
}
for (const { file, numbers } of runs) {
  const child = Bun.spawn([process.execPath, file, ...numbers], { stdout: 'inherit', stderr: 'inherit' });
  if ((await child.exited) !== 0) process.exit(1);
}
