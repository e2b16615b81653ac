/**
 * Who listens on a TCP port, as far as /proc tells (Linux, processes of this user or as root). Only for
 * the words of an error message.
 */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

const listening = '0A';

/** ` by process 4711 (nginx)`, or nothing. */
export function describePortOwner(port: number): string {
  const inodes = listeningInodes(port);
  if (inodes.size === 0) return '';
  for (const pid of entries('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    for (const fd of entries(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode !== undefined && inodes.has(inode))
        return ` by process ${pid} (${textOf(`/proc/${pid}/comm`).trim()})`;
    }
  }
  return '';
}

function listeningInodes(port: number): Set<string> {
  const inodes = new Set<string>();
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of textOf(file).split('\n').slice(1)) {
      const fields = line.trim().split(/\s+/);
      const [, local = '', , state] = fields;
      const inode = fields[9];
      if (state === listening && parseInt(local.split(':')[1] ?? '', 16) === port && inode) inodes.add(inode);
    }
  }
  return inodes;
}

/** Processes end while they are looked at, and others' descriptors are secret: both mean "not known". */
function entries(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
