/** Syntax of names, labels and host names, each with the rule in words. Undefined means that the text is right. */
import { isIP } from 'node:net';

const dnsLabel = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;
const hostLabel = /^[A-Za-z0-9_](?:[-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?$/;
const headerToken = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

// RFC 1123 label, as Kubernetes uses it for namespaces and services.
export function labelNameProblem(name: string): string | undefined {
  if (dnsLabel.test(name)) return undefined;
  return 'must be lower-case letters, digits and -, begin and end with a letter or digit, and have at most 63 characters';
}

// RFC 1123 subdomain, as Kubernetes uses it for most names.
export function subdomainProblem(name: string): string | undefined {
  if (name.length <= 253 && name.split('.').every((label) => dnsLabel.test(label))) return undefined;
  return 'must be lower-case letters, digits, - and ., begin and end with a letter or digit, and have at most 253 characters';
}

/** A DNS name without wildcard, as services and requests have it; an address is not one. */
export function hostnameProblem(host: string): string | undefined {
  const name = host.endsWith('.') ? host.slice(0, -1) : host;
  if (name.length === 0 || name.length > 253) return 'must be a host name of 1 to 253 characters';
  const isName = name.split('.').every((label) => hostLabel.test(label));
  return isName ? undefined : 'is not a host name';
}

/** 4 or 6; 0 = no address. One with a zone (fe80::1%eth0) is none here: it means something on one machine only. */
export function addressFamily(text: string): number {
  return text.includes('%') ? 0 : isIP(text);
}

export interface HostRules {
  readonly wildcard?: boolean;
  readonly address?: boolean;
  /** `*` alone. */
  readonly all?: boolean;
}

/** A host as Istio's kinds write it, with what the place allows. */
export function hostProblem(host: string, rules: HostRules): string | undefined {
  if (host === '*') return rules.all === true ? undefined : 'must name a host: * alone is not allowed here';
  if (addressFamily(host) !== 0) return rules.address === true ? undefined : 'must be a name, not an address';
  if (host.includes('*')) {
    if (rules.wildcard !== true) return 'must not be a wildcard';
    if (!host.startsWith('*.') || host.indexOf('*', 1) > 0) {
      return 'may have a wildcard only as its whole first label, as in *.example.com';
    }
    return hostnameProblem(host.slice(2));
  }
  return hostnameProblem(host);
}

/** An IP address or a range of them. */
export function addressProblem(address: string): string | undefined {
  const slash = address.indexOf('/');
  const family = addressFamily(slash < 0 ? address : address.slice(0, slash));
  if (family === 0) return 'must be an IP address or CIDR range';
  if (slash < 0) return undefined;
  const bits = address.slice(slash + 1);
  const most = family === 4 ? 32 : 128;
  return /^\d{1,3}$/.test(bits) && Number(bits) <= most
    ? undefined
    : `must have a prefix length from 0 to ${most}`;
}

// RFC 9110 section 5.6.2, token.
export function headerNameProblem(name: string): string | undefined {
  return headerToken.test(name) ? undefined : 'is not a header name';
}

// RFC 9110 section 5.5: a line break would end the header, NUL is refused everywhere.
export function headerValueProblem(value: string): string | undefined {
  return /[\r\n\0]/.test(value) ? 'must not contain line breaks or NUL' : undefined;
}
