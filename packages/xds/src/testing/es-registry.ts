/** A protobuf-es registry of all generated files: the oracle that the field tables are compared with. */
import { createRegistry, type DescFile, type Registry } from '@bufbuild/protobuf';

export async function loadEsRegistry(): Promise<Registry> {
  const files: DescFile[] = [];
  const folder = `${import.meta.dir}/../gen/es`;
  for (const path of new Bun.Glob('**/*_pb.js').scanSync(folder)) {
    const module = (await import(`${folder}/${path}`)) as Record<string, unknown>;
    for (const [name, value] of Object.entries(module))
      if (name.startsWith('file_')) files.push(value as DescFile);
  }
  const wellKnown = await import('@bufbuild/protobuf/wkt');
  return createRegistry(...files, wellKnown.EmptySchema);
}
