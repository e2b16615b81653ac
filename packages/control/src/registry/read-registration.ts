/**
 * A registration from the network: every field judged, all problems at once. What a workload may be is decided by
 * who lets it register; here only whether what it says makes sense.
 */
import type { InterceptionMode, Problem, Registration } from '@sluice/api';
import { defaultLeaseMs, leaseLimitsMs } from './lease-table.ts';

export interface RegisterRequest {
  readonly registration: Registration;
  /** Health to begin with; a workload with a readiness probe begins unhealthy. */
  readonly isHealthy: boolean;
}

export type ReadRegistration =
  | { readonly ok: true; readonly request: RegisterRequest }
  | { readonly ok: false; readonly problems: readonly Problem[] };

const subdomain = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;
const label = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const modes: readonly InterceptionMode[] = ['NONE', 'REDIRECT', 'TPROXY'];
const known = new Set([
  'name',
  'namespace',
  'serviceAccount',
  'labels',
  'address',
  'locality',
  'weight',
  'network',
  'interceptionMode',
  'ports',
  'outboundPortRange',
  'adminPort',
  'healthPort',
  'capabilities',
  'version',
  'ttlMs',
  'replicaOf',
  'app',
  'isHealthy',
]);

export function readRegistration(body: unknown): ReadRegistration {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return { ok: false, problems: [refuse('', 'must be an object')] };
  }
  const reader = new Reader(body as Record<string, unknown>);
  for (const field of Object.keys(body)) if (!known.has(field)) reader.problem(field, 'is not known');
  const registration: Registration = {
    name: reader.name('name', subdomain, 'a lower-case DNS name'),
    namespace: reader.name('namespace', label, 'a lower-case DNS label', 'default'),
    serviceAccount: reader.name('serviceAccount', subdomain, 'a lower-case DNS name', 'default'),
    labels: reader.labels(),
    address: reader.address(),
    interceptionMode: reader.mode(),
    ports: reader.ports(),
    adminPort: reader.port('adminPort', reader.fields['adminPort']),
    healthPort: reader.port('healthPort', reader.fields['healthPort']),
    version: reader.text('version', '0.0.0'),
    ttlMs: reader.ttl(),
    ...reader.optionalTexts('locality', 'network', 'replicaOf', 'app'),
    ...reader.optionalWeight(),
    ...reader.optionalRange(),
    ...reader.optionalCapabilities(),
  };
  const { isHealthy = true } = reader.fields;
  if (typeof isHealthy !== 'boolean') reader.problem('isHealthy', 'must be true or false');
  if (reader.problems.length > 0) return { ok: false, problems: reader.problems };
  return { ok: true, request: { registration, isHealthy: isHealthy === true } };
}

class Reader {
  readonly fields: Record<string, unknown>;
  readonly problems: Problem[] = [];

  constructor(fields: Record<string, unknown>) {
    this.fields = fields;
  }

  problem(path: string, message: string): void {
    this.problems.push(refuse(path, message));
  }

  text(field: string, fallback?: string): string {
    const value = this.fields[field] ?? fallback;
    if (typeof value === 'string' && value !== '' && value.length <= 253) return value;
    this.problem(field, value === undefined ? 'is required' : 'must be a text of 1 to 253 characters');
    return '';
  }

  name(field: string, pattern: RegExp, what: string, fallback?: string): string {
    const value = this.text(field, fallback);
    if (value !== '' && !pattern.test(value)) this.problem(field, `must be ${what}`);
    return value;
  }

  /** An IP address: a name would be resolved by every client in its own way. */
  address(): string {
    const value = this.text('address', '127.0.0.1');
    const isIp = /^\d{1,3}(?:\.\d{1,3}){3}$/.test(value) || /^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/.test(value);
    if (value !== '' && !isIp) this.problem('address', 'must be an IP address');
    return value;
  }

  labels(): Record<string, string> {
    const value = this.fields['labels'] ?? {};
    const isMap = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (isMap && Object.values(value).every((text) => typeof text === 'string'))
      return value as Record<string, string>;
    this.problem('labels', 'must be an object of texts');
    return {};
  }

  mode(): InterceptionMode {
    const value = this.fields['interceptionMode'] ?? 'NONE';
    const mode = modes.find((one) => one === value);
    if (mode === undefined) this.problem('interceptionMode', `must be one of ${modes.join(', ')}`);
    return mode ?? 'NONE';
  }

  port(path: string, value: unknown): number {
    if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65535) return value;
    this.problem(path, value === undefined ? 'is required' : 'must be a port number from 1 to 65535');
    return 0;
  }

  ports(): Registration['ports'] {
    const value = this.fields['ports'] ?? [];
    if (!Array.isArray(value)) {
      this.problem('ports', 'must be a list');
      return [];
    }
    const names = new Set<string>();
    return value.map((item: unknown, index) => {
      const at = `ports[${index}]`;
      const { name, protocol, appPort, inboundPort } = (
        typeof item === 'object' && item !== null ? item : {}
      ) as Record<string, unknown>;
      if (typeof name !== 'string' || !label.test(name))
        this.problem(`${at}.name`, 'must be a lower-case port name');
      else if (names.has(name)) this.problem(`${at}.name`, `is the name of another port: ${name}`);
      else names.add(name);
      if (protocol !== undefined && typeof protocol !== 'string')
        this.problem(`${at}.protocol`, 'must be a text');
      const read = {
        name: String(name),
        appPort: this.port(`${at}.appPort`, appPort),
        inboundPort: this.port(`${at}.inboundPort`, inboundPort ?? appPort),
      };
      return typeof protocol === 'string' ? Object.assign(read, { protocol }) : read;
    });
  }

  ttl(): number {
    const value = this.fields['ttlMs'] ?? defaultLeaseMs;
    if (typeof value === 'number' && value >= leaseLimitsMs.min && value <= leaseLimitsMs.max) return value;
    this.problem('ttlMs', `must be from ${leaseLimitsMs.min} to ${leaseLimitsMs.max}`);
    return defaultLeaseMs;
  }

  optionalTexts<Field extends string>(...fields: readonly Field[]): { [F in Field]?: string } {
    const found: { [F in Field]?: string } = {};
    for (const field of fields) if (this.fields[field] !== undefined) found[field] = this.text(field);
    return found;
  }

  optionalWeight(): { weight?: number } {
    const value = this.fields['weight'];
    if (value === undefined) return {};
    if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 0xffffffff)
      return { weight: value };
    this.problem('weight', 'must be a positive whole number');
    return {};
  }

  optionalRange(): { outboundPortRange?: readonly [number, number] } {
    const value = this.fields['outboundPortRange'];
    if (value === undefined) return {};
    const [low, high] = Array.isArray(value) && value.length === 2 ? (value as unknown[]) : [];
    const lowPort = this.port('outboundPortRange[0]', low);
    const highPort = this.port('outboundPortRange[1]', high);
    if (lowPort > highPort) this.problem('outboundPortRange', 'must begin with its lower end');
    return { outboundPortRange: [lowPort, highPort] };
  }

  optionalCapabilities(): { capabilities?: readonly string[] } {
    const value = this.fields['capabilities'];
    if (value === undefined) return {};
    if (Array.isArray(value) && value.every((item) => typeof item === 'string'))
      return { capabilities: value as string[] };
    this.problem('capabilities', 'must be a list of texts');
    return {};
  }
}

function refuse(path: string, message: string): Problem {
  return { code: 'bad-registration', severity: 'error', path, message };
}
