/** What the ports of services say of the bytes on them. */
import { isKind, type Service, type ServiceEntry } from '../resource-types.ts';

/** Whether they have ports, and all of them are read as requests. */
export function hasOnlyRequests(sources: readonly (Service | ServiceEntry)[]): boolean {
  const names = sources.flatMap(portNamesOf);
  return names.length > 0 && names.every((name) => /^(?:http|http2|grpc|grpc-web|h2c)(?:-|$)/.test(name));
}

function portNamesOf(source: Service | ServiceEntry): string[] {
  if (isKind(source, '/Service'))
    return (source.spec.ports ?? []).map((port) => (port.appProtocol ?? port.name ?? '').toLowerCase());
  return (source.spec.ports ?? []).map((port) => (port.protocol ?? port.name).toLowerCase());
}
