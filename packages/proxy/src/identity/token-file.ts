/**
 * The file that a workload's token is handed over in. What is plainly no token is refused here, with the file's
 * name: a key or a certificate in its place must not leave this machine as somebody's credential.
 */
import { readFileSync } from 'node:fs';
import { isJoinToken, isProblem, parseJoinToken } from '@sluice/identity';

/** Kubernetes' tokens have about 1.5 KB, with many audiences a few more. */
const maxTokenBytes = 16_384;

/** Null when the file is empty: one that was used up may be emptied. Throws what is wrong with it, in words. */
export function readTokenFile(path: string): string | null {
  const token = read(path).trim();
  if (token === '') return null;
  if (token.length > maxTokenBytes)
    throw new Error(`--identity-token-file ${path}: has more than ${maxTokenBytes} bytes, it holds no token`);
  if (!/^[\x21-\x7e]+$/.test(token))
    throw new Error(`--identity-token-file ${path}: a token is one word, this file holds something else`);
  if (!isJoinToken(token)) return token;
  const parsed = parseJoinToken(token);
  if (isProblem(parsed)) throw new Error(`--identity-token-file ${path}: ${parsed.message}`);
  return token;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new Error(`--identity-token-file ${path}: cannot be read (${why})`, { cause: error });
  }
}
