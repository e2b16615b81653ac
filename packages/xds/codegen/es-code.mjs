/**
 * Runs the protobuf-es generator in this process over a compiled descriptor set.
 *
 * Output is JavaScript with declaration files rather than TypeScript: protobuf-es writes `enum`, which
 * this repository's compiler settings refuse in source, and declarations are cheaper to check.
 */
import { createRequire } from 'node:module';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const require = createRequire(import.meta.url);
const { create } = require('@bufbuild/protobuf');
const { CodeGeneratorRequestSchema } = require('@bufbuild/protobuf/wkt');

/** Writes one `_pb.js` and `_pb.d.ts` for each file that is not part of protobuf-es itself. */
export function generateEsCode(nodeModules, descriptorSet, targetDir) {
  const { protocGenEs } = require(
    join(nodeModules, '@bufbuild/protoc-gen-es/dist/cjs/src/protoc-gen-es-plugin.js'),
  );
  const request = create(CodeGeneratorRequestSchema, {
    fileToGenerate: descriptorSet.file
      .map((file) => file.name)
      .filter((name) => !name.startsWith('google/protobuf/')),
    parameter: 'target=js+dts,import_extension=js',
    protoFile: descriptorSet.file,
  });
  const response = protocGenEs.run(request);
  if (response.error) throw new Error(`protoc-gen-es: ${response.error}`);
  for (const file of response.file) {
    const target = join(targetDir, file.name);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, file.content);
  }
  return response.file.length;
}
