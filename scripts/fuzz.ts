/**
 * Runs every `*.fuzz.ts` under packages/ with mutated inputs.
 *
 *   npm run fuzz -- [--seconds N] [--seed N] [--shard I/N] [--target NAME] [--replay FILE --target NAME]
 *
 * A target's default export is `{ name, seeds(), run(bytes) }`; `run` throws when an invariant is broken.
 * Mutations (bit flips, deletions, repetitions, splices, words of a dictionary) are coverage-less: the
 * engine gives no coverage in process, and parsers of this size are reached by their seeds. The seed is
 * printed, so a run can be repeated; a failing input is made smaller and saved.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { createRandom, type Random } from '@sluice/runtime';

interface FuzzTarget {
  readonly name: string;
  seeds(): Uint8Array[];
  run(bytes: Uint8Array): void;
}

const MAX_INPUT_BYTES = 4096;
const root = new URL('..', import.meta.url).pathname;

const dictionary = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '"',
  '\\',
  '0',
  '0\r\n\r\n',
  '1\r\nx\r\n',
  'ffffffff',
  '9007199254740993',
  '\r\n\r\n',
  '\r\n ',
  'Content-Length: 1\r\n',
  'Content-Length: 0\r\n',
  'Transfer-Encoding: chunked\r\n',
  'transfer-encoding:chunked\r\n',
  'Host: b\r\n',
  'Connection: close\r\n',
  'Connection: host, content-length\r\n',
  'TE: trailers\r\n',
  'Trailer: x\r\n',
  'Upgrade: h2c\r\n',
  'Expect: 100-continue\r\n',
  'HTTP/1.0',
  'HTTP/1.1',
  'HEAD',
  'CONNECT',
  '*',
  'http://a',
  '[::1]',
  '%00',
  '\x80\xff',
  '\x00\x00\x00\x00\x01',
  '\x01',
].map((word) => new Uint8Array(Buffer.from(word, 'latin1')));

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '20' },
    seed: { type: 'string' },
    shard: { type: 'string', default: '1/1' },
    target: { type: 'string' },
    replay: { type: 'string' },
  },
});
process.exitCode = await main();

async function main(): Promise<number> {
  const targets = await loadTargets();
  if (targets.length === 0) {
    console.error(`no fuzz target${values.target === undefined ? '' : ` named "${values.target}"`}`);
    return 1;
  }
  if (values.replay !== undefined) return replay(targets, values.replay);
  const seconds = Number(values.seconds);
  const seed =
    values.seed === undefined ? crypto.getRandomValues(new Uint32Array(1))[0]! : Number(values.seed);
  if (!(seconds > 0) || !Number.isInteger(seed)) {
    console.error('--seconds takes a positive number, --seed an integer');
    return 1;
  }
  let failures = 0;
  for (const target of targets) if (!fuzz(target, seconds * 1000, seed)) failures++;
  return failures === 0 ? 0 : 1;
}

async function loadTargets(): Promise<FuzzTarget[]> {
  const targets: FuzzTarget[] = [];
  for (const path of [...new Bun.Glob('packages/*/src/**/*.fuzz.ts').scanSync({ cwd: root })].sort()) {
    const { default: target } = (await import(root + path)) as { default: FuzzTarget };
    if (values.target === undefined || values.target === target.name) targets.push(target);
  }
  const [shard = 1, shards = 1] = values.shard.split('/').map(Number);
  return targets.filter((_, index) => index % shards === shard - 1);
}

function fuzz(target: FuzzTarget, durationMs: number, seed: number): boolean {
  const random = createRandom(seed);
  const corpus = target.seeds();
  for (const input of corpus) if (!attempt(target, input, seed)) return false;
  const until = performance.now() + durationMs;
  let runs = 0;
  while ((runs & 63) !== 0 || performance.now() < until) {
    runs++;
    if (!attempt(target, mutate(corpus, random), seed)) return false;
  }
  console.log(`${target.name}: ${runs} inputs in ${durationMs / 1000} s, no violation (seed ${seed})`);
  return true;
}

function attempt(target: FuzzTarget, input: Uint8Array, seed: number): boolean {
  const failure = violation(target, input);
  if (failure === undefined) return true;
  const smallest = shrink(target, input);
  const folder = `${root}.cache/fuzz-failures`;
  mkdirSync(folder, { recursive: true });
  // Names have blanks and slashes.
  const file = `${folder}/${target.name.replaceAll(/\W+/g, '-')}-${Bun.hash(smallest).toString(16)}.bin`;
  writeFileSync(file, smallest);
  console.error(
    `${target.name}: invariant violated (seed ${seed})\n${violation(target, smallest)?.message ?? failure.message}`,
  );
  console.error(`input: ${JSON.stringify(Buffer.from(smallest).toString('latin1'))}`);
  console.error(`replay: npm run fuzz -- --target '${target.name}' --replay ${file}`);
  return false;
}

function violation(target: FuzzTarget, input: Uint8Array): Error | undefined {
  try {
    target.run(input.slice());
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Removes ever smaller pieces as long as the violation stays. */
function shrink(target: FuzzTarget, input: Uint8Array): Uint8Array {
  let current = input;
  for (let size = current.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at + size <= current.length;) {
      const shorter = splice(current, at, at + size, new Uint8Array(0));
      if (violation(target, shorter) === undefined) at += size;
      else current = shorter;
    }
  }
  return current;
}

function mutate(corpus: readonly Uint8Array[], random: Random): Uint8Array {
  const pick = (bound: number): number => random.int(bound);
  let bytes: Uint8Array = corpus[pick(corpus.length)]!.slice();
  for (let times = 1 + pick(6); times > 0; times--) {
    const at = pick(bytes.length + 1);
    const to = Math.min(bytes.length, at + 1 + pick(16));
    switch (pick(6)) {
      case 0:
        if (at < bytes.length) bytes[at]! ^= 1 << pick(8);
        break;
      case 1:
        if (at < bytes.length) bytes[at] = pick(256);
        break;
      case 2:
        bytes = splice(bytes, at, to, new Uint8Array(0));
        break;
      case 3:
        bytes = splice(bytes, at, at, bytes.slice(at, to));
        break;
      case 4: {
        const other = corpus[pick(corpus.length)]!;
        const from = pick(other.length);
        bytes = splice(
          bytes,
          at,
          pick(2) === 0 ? at : bytes.length,
          other.slice(from, from + 1 + pick(other.length)),
        );
        break;
      }
      default:
        bytes = splice(bytes, at, at, dictionary[pick(dictionary.length)]!);
    }
  }
  return bytes.length > MAX_INPUT_BYTES ? bytes.slice(0, MAX_INPUT_BYTES) : bytes;
}

function splice(bytes: Uint8Array, from: number, to: number, insert: Uint8Array): Uint8Array {
  const result = new Uint8Array(bytes.length - (to - from) + insert.length);
  result.set(bytes.subarray(0, from));
  result.set(insert, from);
  result.set(bytes.subarray(to), from + insert.length);
  return result;
}

function replay(targets: readonly FuzzTarget[], file: string): number {
  const input = new Uint8Array(readFileSync(file));
  for (const target of targets) {
    const failure = violation(target, input);
    console.log(`${target.name}: ${failure === undefined ? 'no violation' : failure.message}`);
    if (failure !== undefined) return 1;
  }
  return 0;
}
