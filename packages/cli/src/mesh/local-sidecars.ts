/**
 * Sidecars that this machine's state directory knows of, asked themselves: what is left to look at while the control
 * plane does not answer. Read from their bootstrap files, which stay when everything else is down.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { stateFiles } from './state-dir.ts';

export interface LocalSidecar {
  /** Of the instance, without its namespace. */
  readonly name: string;
  readonly adminPort: number;
}

interface Bootstrap {
  readonly admin?: { readonly address?: { readonly socket_address?: { readonly port_value?: number } } };
}

/** Files that are no bootstrap of ours are passed over. */
export function localSidecars(stateDir: string | undefined): readonly LocalSidecar[] {
  const folder = stateDir === undefined ? '' : join(stateDir, stateFiles.bootstraps);
  if (folder === '' || !existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .flatMap((file) => {
      const adminPort = readAdminPort(join(folder, file));
      return adminPort === undefined ? [] : [{ name: basename(file, '.json'), adminPort }];
    });
}

export interface SidecarState {
  /** `LIVE`, what it says instead, or `no answer`. */
  readonly state: string;
  /** End of its certificate; undefined where it has none, or does not tell. */
  readonly certificateEndsMs: number | undefined;
}

export async function askSidecar(sidecar: LocalSidecar, timeoutMs: number): Promise<SidecarState> {
  const [ready, stats] = await Promise.all([
    fetchText(sidecar, '/ready', timeoutMs),
    fetchText(sidecar, '/stats?filter=sluice_identity_certificate_expiry', timeoutMs),
  ]);
  const seconds = /^sluice_identity_certificate_expiry_timestamp_seconds: ([1-9]\d*)/m.exec(stats ?? '')?.[1];
  return {
    state: ready?.trim().slice(0, 80) ?? 'no answer',
    certificateEndsMs: seconds === undefined ? undefined : Number(seconds) * 1000,
  };
}

async function fetchText(
  { adminPort }: LocalSidecar,
  path: string,
  timeoutMs: number,
): Promise<string | undefined> {
  try {
    const reply = await fetch(`http://127.0.0.1:${adminPort}${path}`, {
      signal: AbortSignal.timeout(timeoutMs),
    });
    return await reply.text();
  } catch {
    return undefined;
  }
}

function readAdminPort(path: string): number | undefined {
  try {
    const { admin } = JSON.parse(readFileSync(path, 'utf8')) as Bootstrap;
    return admin?.address?.socket_address?.port_value;
  } catch {
    return undefined;
  }
}
