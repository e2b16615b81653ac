/**
 * Makes generated sources current: `ensureGenerated()` before Bun starts, or `npm run generate`.
 *
 * Current means that a stamp beside the output equals the hash of everything the output is made from, so
 * the usual case costs a few small reads and starts nothing. Two processes that both find it stale take
 * turns by a lock folder, and the output appears by rename, never half written.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { projectRoot } from './find-bun.mjs';

const packageDir = join(projectRoot, 'packages/xds');
const nodeModules = join(projectRoot, 'node_modules');
const target = join(packageDir, 'src/gen');
const cacheDir = join(projectRoot, '.cache');
const lockDir = join(cacheDir, 'generate.lock');
const lockPollMs = 50;
const lockTimeoutMs = 60_000;
/** A lock whose owner has not yet written its id is left alone for this long. */
const lockGraceMs = 2_000;

const toolPackages = ['@grpc/grpc-js-xds', '@bufbuild/buf', '@bufbuild/protobuf', '@bufbuild/protoc-gen-es'];
const inputFolders = ['codegen', 'proto', 'src/honoured'];

/** Makes generated sources current; throws an Error whose message says what to do. */
export async function ensureGenerated() {
  const wanted = inputHash();
  if (readStamp() === wanted) return;
  const release = await takeLock();
  try {
    if (readStamp() === wanted) return; // Another process made it while this one waited.
    await generate(wanted);
  } catch (error) {
    throw explain(error);
  } finally {
    release();
  }
}

async function generate(stamp) {
  const started = performance.now();
  process.stderr.write('sluice: generating xDS code (once) ... ');
  const { generateXds } = await import(pathToFileURL(join(packageDir, 'codegen/generate.mjs')).href);
  const workDir = join(cacheDir, `generate-${process.pid}`);
  try {
    const output = join(workDir, 'gen');
    generateXds(packageDir, nodeModules, workDir, output);
    writeFileSync(join(output, '.stamp'), stamp);
    moveIntoPlace(output, join(workDir, 'previous'));
    process.stderr.write(`${((performance.now() - started) / 1000).toFixed(1)} s\n`);
  } catch (error) {
    process.stderr.write('failed\n');
    throw error;
  } finally {
    rmSync(workDir, { recursive: true, force: true });
  }
}

/** Folders cannot be exchanged in one step: the old one steps aside first and comes back if the new one fails. */
function moveIntoPlace(output, aside) {
  let hadPrevious = true;
  try {
    renameSync(target, aside);
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    hadPrevious = false;
  }
  try {
    renameSync(output, target);
  } catch (error) {
    if (hadPrevious) renameSync(aside, target);
    throw error;
  }
}

function inputHash() {
  const hash = createHash('sha256');
  for (const name of toolPackages) hash.update(`${name} ${packageVersion(name)}\n`);
  hash.update(readFileSync(fileURLToPath(import.meta.url)));
  for (const folder of inputFolders) hashFolder(hash, join(packageDir, folder), folder);
  return hash.digest('hex');
}

function hashFolder(hash, path, label) {
  const entries = readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) hashFolder(hash, child, `${label}/${entry.name}`);
    else hash.update(`${label}/${entry.name}\n`).update(readFileSync(child));
  }
}

function packageVersion(name) {
  try {
    return JSON.parse(readFileSync(join(nodeModules, name, 'package.json'), 'utf8')).version;
  } catch {
    throw new Error(`${name} is not installed; run "npm ci" in ${projectRoot} first`);
  }
}

function readStamp() {
  try {
    return readFileSync(join(target, '.stamp'), 'utf8');
  } catch {
    return undefined; // Never generated.
  }
}

/** Waits for its turn and returns how to give it up. A lock whose owner has died is taken over. */
async function takeLock() {
  const deadline = Date.now() + lockTimeoutMs;
  for (;;) {
    try {
      mkdirSync(cacheDir, { recursive: true });
      mkdirSync(lockDir);
      writeFileSync(join(lockDir, 'pid'), String(process.pid));
      return () => rmSync(lockDir, { recursive: true, force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw explain(error);
    }
    if (isAbandoned()) rmSync(lockDir, { recursive: true, force: true });
    else if (Date.now() > deadline)
      throw new Error(`another process has been generating code for a minute; if none is, remove ${lockDir}`);
    else await sleep(lockPollMs);
  }
}

function isAbandoned() {
  try {
    process.kill(Number(readFileSync(join(lockDir, 'pid'), 'utf8')), 0);
    return false;
  } catch (error) {
    if (error.code === 'ESRCH') return true;
    if (error.code !== 'ENOENT') return false;
  }
  try {
    return Date.now() - statSync(lockDir).mtimeMs > lockGraceMs;
  } catch {
    return false; // Given up in the meantime; the next attempt takes it.
  }
}

function explain(error) {
  if (error.code !== 'EACCES' && error.code !== 'EROFS' && error.code !== 'EPERM') return error;
  return new Error(
    `generated code is missing or stale and ${error.path ?? projectRoot} is not writable: ` +
      `run "npm run generate" in ${projectRoot} as a user who may write there`,
  );
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    await ensureGenerated();
  } catch (error) {
    console.error(`sluice: ${error.message}`);
    process.exit(1);
  }
}
