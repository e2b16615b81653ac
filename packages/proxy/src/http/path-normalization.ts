/**
 * One normalised path for matching, policy, log and forwarding (design §6, Trust): a path that one part
 * reads as `/admin` and another as `/public/../admin` is how policies are walked around.
 *
 * Order as Envoy's: escaped slashes first, then RFC 3986 normalisation (unreserved octets unescaped, hex
 * digits upper-case, dot segments removed), then merging of slashes, so that Istio's levels BASE,
 * MERGE_SLASHES and DECODE_AND_MERGE_SLASHES mean what they say. The query is never touched.
 */
import type { PathNormalization } from '../listener/listener.ts';

/** `redirect`: the client is asked to come back with `path`. */
export interface NormalizedPath {
  outcome: 'ok' | 'reject' | 'redirect';
  path: string;
}

const PERCENT = 0x25;
const SLASH = 0x2f;
const DOT = 0x2e;
const BACKSLASH = 0x5c;

/** Writes into `out`, which callers reuse. A path that needs nothing is returned as the same string. */
export function normalizePath(path: string, rules: PathNormalization, out: NormalizedPath): NormalizedPath {
  out.outcome = 'ok';
  out.path = path;
  if (isPlain(path)) return out;
  if (path.charCodeAt(0) !== SLASH) return out;
  const queryAt = path.indexOf('?');
  const query = queryAt < 0 ? '' : path.slice(queryAt);
  let text = queryAt < 0 ? path : path.slice(0, queryAt);
  if (rules.escapedSlashes !== 'KEEP' && /%(?:2f|5c)/i.test(text)) {
    if (rules.escapedSlashes === 'REJECT') {
      out.outcome = 'reject';
      return out;
    }
    text = text.replaceAll(/%(2f|5c)/gi, (_, hex: string) => (hex === '5c' || hex === '5C' ? '\\' : '/'));
    if (rules.escapedSlashes === 'UNESCAPE_REDIRECT') out.outcome = 'redirect';
  }
  if (rules.normalize) {
    const normal = removeDotSegments(decodeUnreserved(text.replaceAll('\\', '/')));
    if (normal === null) {
      out.outcome = 'reject';
      return out;
    }
    text = normal;
  }
  if (rules.mergeSlashes) text = text.replaceAll(/\/{2,}/g, '/');
  out.path = text + query;
  return out;
}

/** True when no rule could change the path: no escape, no dot after a slash, no double slash, no backslash. */
function isPlain(path: string): boolean {
  let previous = 0;
  for (let i = 0; i < path.length; i++) {
    const c = path.charCodeAt(i);
    if (c === 0x3f) return true;
    if (c === PERCENT || c === BACKSLASH || (previous === SLASH && (c === SLASH || c === DOT))) return false;
    previous = c;
  }
  return true;
}

/** Decodes what needs no escape (RFC 3986 §6.2.2); null for a NUL or a malformed escape. */
function decodeUnreserved(path: string): string | null {
  if (!path.includes('%')) return path;
  let isBad = false;
  const text = path.replaceAll(/%([0-9a-fA-F]{2})?/g, (_, hex?: string) => {
    if (hex === undefined || hex === '00') {
      isBad = true;
      return '';
    }
    const octet = String.fromCharCode(Number.parseInt(hex, 16));
    return /[A-Za-z0-9\-._~]/.test(octet) ? octet : `%${hex.toUpperCase()}`;
  });
  return isBad ? null : text;
}

/** RFC 3986 §5.2.4; `..` above the root stays at the root, as there and in Envoy. */
function removeDotSegments(path: string | null): string | null {
  if (path === null) return null;
  if (!path.includes('/.')) return path;
  const kept: string[] = [];
  const segments = path.split('/');
  for (let i = 1; i < segments.length; i++) {
    const segment = segments[i]!;
    const isLast = i === segments.length - 1;
    if (segment === '..') {
      kept.pop();
    } else if (segment !== '.') {
      kept.push(segment);
      continue;
    }
    if (isLast) kept.push('');
  }
  return `/${kept.join('/')}`;
}
