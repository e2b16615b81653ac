/**
 * Makes everything under `packages/xds/src/gen` in a fresh folder: protobuf-es code for the control
 * plane, and field tables with their TypeScript shapes for the proxy. `scripts/generate.mjs` decides
 * when this runs and moves the result into place.
 */
import { createRequire } from 'node:module';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generateEsCode } from './es-code.mjs';
import { readHonoured } from './honoured.mjs';
import { collectProtos, compileProtos } from './protos.mjs';
import { writeTables } from './tables.mjs';

const require = createRequire(import.meta.url);

/** `workDir` is scratch; the generated tree appears in `outDir`. */
export function generateXds(packageDir, nodeModules, workDir, outDir) {
  const { createFileRegistry, fromBinary } = require('@bufbuild/protobuf');
  const { FileDescriptorSetSchema } = require('@bufbuild/protobuf/wkt');
  const protoDir = join(workDir, 'protos');
  mkdirSync(protoDir, { recursive: true });
  mkdirSync(outDir, { recursive: true });

  const modules = JSON.parse(readFileSync(join(packageDir, 'codegen/modules.json'), 'utf8'));
  collectProtos(nodeModules, join(packageDir, 'proto'), modules, protoDir);
  const image = compileProtos(nodeModules, protoDir, workDir);
  const descriptorSet = fromBinary(FileDescriptorSetSchema, image);
  const registry = createFileRegistry(descriptorSet);

  const { tables, messages } = writeTables(readHonoured(join(packageDir, 'src/honoured'), registry));
  writeFileSync(join(outDir, 'tables.ts'), tables);
  writeFileSync(join(outDir, 'messages.ts'), messages);
  generateEsCode(nodeModules, descriptorSet, join(outDir, 'es'));
}
