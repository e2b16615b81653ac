/**
 * Which protocol a port speaks: `appProtocol` first, then the port's name (`<protocol>[-suffix]`), then
 * known server-first ports as TCP, else undeclared. Source: Istio's protocol selection rules.
 */
import type { PortProtocol } from './service.ts';

const byName: Readonly<Record<string, PortProtocol>> = {
  http: 'http',
  http2: 'http2',
  https: 'tls',
  h2c: 'http2',
  grpc: 'grpc',
  'grpc-web': 'grpc-web',
  tls: 'tls',
  tcp: 'tcp',
  mongo: 'tcp',
  mysql: 'tcp',
  redis: 'tcp',
  udp: 'udp',
  ws: 'http',
  wss: 'tls',
};

/** `appProtocol` values of the Kubernetes standard (KEP-3726). */
const byAppProtocol: Readonly<Record<string, PortProtocol>> = {
  'kubernetes.io/h2c': 'http2',
  'kubernetes.io/ws': 'http',
  'kubernetes.io/wss': 'tls',
};

/** Ports whose server speaks first: peeking at the client would wait for ever. */
const serverFirstPorts: ReadonlySet<number> = new Set([25, 53, 3306, 27017]);

export function portProtocol(port: {
  readonly number: number;
  readonly name?: string | undefined;
  readonly appProtocol?: string | undefined;
  readonly transport?: string | undefined;
}): PortProtocol {
  if (port.transport === 'UDP') return 'udp';
  const declared = port.appProtocol?.toLowerCase();
  if (declared !== undefined) {
    const known = byAppProtocol[declared] ?? nameProtocol(declared);
    if (known) return known;
  }
  const named = port.name === undefined ? undefined : nameProtocol(port.name.toLowerCase());
  if (named) return named;
  return serverFirstPorts.has(port.number) ? 'tcp' : 'auto';
}

/** Whether requests of the port are read; through a proxy that does not speak HTTP/2 it passes as bytes. */
export function isHttp(protocol: PortProtocol, knowsHttp2: boolean): boolean {
  return protocol === 'http' || protocol === 'grpc-web' || (knowsHttp2 && isHttp2(protocol));
}

/** Upstream; gRPC-Web comes over either HTTP and goes on as gRPC. */
export function isHttp2(protocol: PortProtocol): boolean {
  return protocol === 'http2' || protocol === 'grpc' || protocol === 'grpc-web';
}

function nameProtocol(name: string): PortProtocol | undefined {
  const whole = byName[name];
  if (whole) return whole;
  if (name.startsWith('grpc-web-')) return 'grpc-web';
  const dash = name.indexOf('-');
  return dash > 0 ? byName[name.slice(0, dash)] : undefined;
}
