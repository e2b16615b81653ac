/** How this program starts its other parts: from source by their main files, from the compiled file by a word. */
import { join } from 'node:path';

export type Part = 'control' | 'proxy';

/** Files of a compiled executable live in a file system of its own. */
export const isCompiled = import.meta.path.startsWith('/$bunfs/') || import.meta.path.includes('~BUN');

/** The argv to which a part's own arguments are appended. */
export function selfCommand(part: Part): readonly string[] {
  if (isCompiled) return [process.execPath, part];
  return [process.execPath, join(import.meta.dir, '..', '..', '..', part, 'src', 'main.ts')];
}
