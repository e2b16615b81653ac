/** What the package promises its users about loading. */
import { expect, test } from 'bun:test';

/** Bundled code names the files that it comes from. */
async function bundle(entry: string): Promise<string> {
  const { outputs } = await Bun.build({ entrypoints: [`${import.meta.dir}/${entry}`], target: 'bun' });
  return (await outputs[0]?.text()) ?? '';
}

test('the main entry does not reach protobuf-es, the entry for the control plane does', async () => {
  expect(await bundle('mod.ts')).not.toContain('@bufbuild/protobuf');
  expect(await bundle('es.ts')).toContain('@bufbuild/protobuf');
});
