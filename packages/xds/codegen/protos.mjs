/**
 * From the .proto files that `@grpc/grpc-js-xds` carries to one compiled descriptor set.
 *
 * Only the transitive imports of `modules.json` are copied, so the leftovers of Envoy's v2 API (whose
 * imports are missing from the package) never reach the compiler. Two files need repair: the bundled
 * `validate.proto` is older than the Envoy files that use it, and OpenCensus is not in the package.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const roots = ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'];

/** Files that the package lacks. Bootstrap imports the tracing protos, and those import OpenCensus. */
const stubs = {
  'opencensus/proto/trace/v1/trace_config.proto':
    'syntax = "proto3";\npackage opencensus.proto.trace.v1;\nmessage TraceConfig {}\n',
};

/** Copies the closure of `modules` into `targetDir`, repaired. `ownProtos` holds this project's own extensions. */
export function collectProtos(nodeModules, ownProtos, modules, targetDir) {
  const deps = join(nodeModules, '@grpc/grpc-js-xds/deps');
  const folders = [ownProtos, ...roots.map((root) => join(deps, root))];
  const seen = new Set();
  const queue = [...modules];
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    if (seen.has(path) || path.startsWith('google/protobuf/')) continue;
    seen.add(path);
    const text = repair(path, stubs[path] ?? readProto(folders, path));
    for (const match of text.matchAll(/^\s*import\s+(?:public\s+)?"([^"]+)"/gm)) queue.push(match[1]);
    const target = join(targetDir, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text);
  }
}

/** Compiles the tree with buf and returns the bytes of a FileDescriptorSet with all imports. */
export function compileProtos(nodeModules, protoDir, workDir) {
  const output = join(workDir, 'image.binpb');
  writeFileSync(join(protoDir, 'buf.yaml'), 'version: v2\n');
  const result = spawnSync(
    findBuf(nodeModules),
    ['build', protoDir, '--exclude-source-info', '--as-file-descriptor-set', '-o', output],
    {
      cwd: workDir,
      encoding: 'utf8',
      env: { ...process.env, BUF_CACHE_DIR: join(workDir, 'buf-cache'), HOME: workDir },
    },
  );
  if (result.error) throw new Error(`cannot run buf: ${result.error.message}`);
  if (result.status !== 0) throw new Error(`buf could not compile the protos:\n${result.stderr.trim()}`);
  return readFileSync(output);
}

function readProto(folders, path) {
  const folder = folders.find((candidate) => existsSync(join(candidate, path)));
  if (folder === undefined) throw new Error(`${path} is not among the protos of @grpc/grpc-js-xds`);
  return readFileSync(join(folder, path), 'utf8');
}

function repair(path, text) {
  if (path !== 'validate/validate.proto' || /message StringRules \{[^}]*ignore_empty/.test(text)) return text;
  return text.replace('message StringRules {', 'message StringRules {\n    optional bool ignore_empty = 26;');
}

/** The npm package `@bufbuild/buf` holds the executable in an optional package for each platform. */
function findBuf(nodeModules) {
  const name = process.platform === 'win32' ? 'buf.exe' : 'buf';
  const cpu =
    process.arch === 'arm'
      ? 'armv7'
      : process.arch === 'arm64' && process.platform === 'linux'
        ? 'aarch64'
        : process.arch;
  for (const folder of [`buf-${process.platform}-${cpu}`, `buf-${process.platform}-${process.arch}`]) {
    const path = join(nodeModules, '@bufbuild', folder, 'bin', name);
    if (existsSync(path)) return path;
  }
  throw new Error(
    `no buf binary for ${process.platform}/${process.arch} under node_modules/@bufbuild; run "npm ci"`,
  );
}
