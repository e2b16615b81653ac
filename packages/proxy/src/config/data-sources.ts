/**
 * DataSources made inline: files and environment variables are read here, on the main thread, so that the
 * data loops never touch either.
 *
 * Configuration that comes from the network may name neither (it could have any file of this machine read
 * and shown to a peer), unless the workload's own flags allow the path.
 */
import { readFileSync, realpathSync } from 'node:fs';
import { sep } from 'node:path';
import type { DataSource } from '@sluice/xds';
import type { ProblemScope } from './problems.ts';

export interface SourceRules {
  /** Files, or directories with everything below them, that remote configuration may name. */
  readonly allowedPaths: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

export interface SourceReader {
  /** Undefined with a problem in `scope` when it cannot be had. */
  read(source: DataSource, scope: ProblemScope): DataSource | undefined;
  /** Files that were read, for watching. */
  readonly files: Set<string>;
}

/** Certificates and keys are kilobytes; bundles of public authorities some hundreds of them. */
const maxFileBytes = 8 * 1024 * 1024;

/** `isStatic`: from the bootstrap, which the operator wrote. */
export function sourceReader(rules: SourceRules, isStatic: boolean): SourceReader {
  const files = new Set<string>();
  return {
    files,
    read(source, scope) {
      if (source.filename !== undefined) return readFile(source.filename, rules, isStatic, files, scope);
      if (source.environmentVariable !== undefined)
        return readVariable(source.environmentVariable, rules, isStatic, scope);
      return source;
    },
  };
}

/** By the real path: a link must not lead out of what is allowed. */
export function isAllowedPath(path: string, allowed: readonly string[]): boolean {
  return allowed.some((one) => {
    const root = realPathOf(one);
    const real = realPathOf(path);
    return real === root || real.startsWith(root.endsWith(sep) ? root : root + sep);
  });
}

function readFile(
  path: string,
  rules: SourceRules,
  isStatic: boolean,
  files: Set<string>,
  scope: ProblemScope,
): DataSource | undefined {
  const at = scope.at('filename');
  if (!isStatic && !isAllowedPath(path, rules.allowedPaths)) {
    at.error('remote configuration may read no files here; --allow-secret-path names exceptions');
    return undefined;
  }
  files.add(path);
  try {
    const bytes = readFileSync(path);
    if (bytes.length > maxFileBytes) {
      at.error(`${path}: larger than ${maxFileBytes} bytes`);
      return undefined;
    }
    return { inlineBytes: new Uint8Array(bytes) };
  } catch (error) {
    at.error(error instanceof Error ? error.message : String(error));
    return undefined;
  }
}

function readVariable(
  name: string,
  rules: SourceRules,
  isStatic: boolean,
  scope: ProblemScope,
): DataSource | undefined {
  const at = scope.at('environment_variable');
  const value = rules.environment[name];
  if (!isStatic) at.error('remote configuration may not read the environment of the proxy');
  else if (value === undefined) at.error(`${name} is not set`);
  else return { inlineString: value };
  return undefined;
}

function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // It does not exist: then its own spelling decides, and reading it fails with the reason.
    return path;
  }
}
