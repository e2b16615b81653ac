/**
 * The access log files that the bootstrap's own listeners name. The operator wrote the bootstrap as he wrote the flags,
 * so it needs no flag beside it; configuration from the network may name these files, and no others.
 */
import { FileAccessLogTable, unpackAny, type Any, type Bootstrap } from '@sluice/xds';

export function staticLogPaths(bootstrap: Bootstrap): string[] {
  const paths = new Set<string>();
  collect(bootstrap.staticResources?.listeners ?? [], paths);
  return [...paths];
}

/** Loggers stand in listeners, connection managers, TCP proxies and routers: all of the tree is looked through. */
function collect(node: unknown, paths: Set<string>): void {
  if (typeof node !== 'object' || node === null || ArrayBuffer.isView(node)) return;
  if (node instanceof Map) return collect([...node.values()], paths);
  if ('typeUrl' in node) {
    const log = unpackAny(node as Any, FileAccessLogTable);
    if (log !== undefined && log.path !== '') paths.add(log.path);
  }
  for (const child of Object.values(node)) collect(child, paths);
}
