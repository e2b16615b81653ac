/**
 * `npm run bench [-- NAME …]`: runs the named benchmarks, or those that compare with a peer, one after the other,
 * each in a process of its own. They want a quiet machine; ratios within one run are what counts.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const standard = ['hop', 'latency', 'memory'];
const names = process.argv.slice(2).length > 0 ? process.argv.slice(2) : standard;

for (const name of names) {
  const file = join(import.meta.dir, `${name}.ts`);
  if (!existsSync(file)) {
    console.error(
      `there is no benchmark ${name}; there are hop, h2, grpc, tcp, tls, tls-latency, latency, memory, propagation, reload, soak, plain-proxy, h1-codec, telemetry`,
    );
    process.exit(2);
  }
  const child = Bun.spawn([process.execPath, file], { stdout: 'inherit', stderr: 'inherit' });
  if ((await child.exited) !== 0) process.exit(1);
}
