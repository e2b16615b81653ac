/**
 * Who may use the API and the page (design §6, Trust). Every request needs the token of the state directory, on
 * loopback too: a web page or another user of the machine could reach the port. Browsers get it once, by a link
 * that is good for one use, and hold a cookie after that.
 *
 * Host and Origin are judged first: a page of another site that had its name resolve to 127.0.0.1 (DNS rebinding)
 * shows that name in Host, and a cross-site request shows its Origin.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '@sluice/runtime';
import { ApiError } from './api/status-body.ts';

const tokenFileName = 'token';
const tokenBytes = 32;
const cookieName = 'sluice_session';
const linkParameter = 'login';
/** Long enough to switch to the browser; a link in a terminal's history is dead soon. */
const linkTtlMs = 10 * 60_000;
const sessionTtlMs = 12 * 60 * 60_000;
const maxSessions = 256;

export interface AccessOptions {
  readonly token: string;
  readonly clock: Clock;
  /** Host names, beyond loopback ones, under which this server may be addressed. */
  readonly hostNames?: readonly string[];
}

/** The API token of a state directory, made at the first start and readable by its owner only. */
export function loadToken(stateDir: string): string {
  const path = join(stateDir, tokenFileName);
  if (existsSync(path)) {
    chmodSync(path, 0o600);
    const token = readFileSync(path, 'utf8').trim();
    if (token !== '') return token;
  }
  const token = randomBytes(tokenBytes).toString('base64url');
  writeFileSync(path, `${token}\n`, { mode: 0o600 });
  chmodSync(path, 0o600);
  return token;
}

export class Access {
  readonly #tokenDigest: Buffer;
  readonly #clock: Clock;
  readonly #hostNames: ReadonlySet<string>;
  readonly #links = new Map<string, number>();
  readonly #sessions = new Map<string, number>();

  constructor(options: AccessOptions) {
    this.#tokenDigest = digest(options.token);
    this.#clock = options.clock;
    this.#hostNames = new Set(['localhost', ...(options.hostNames ?? [])]);
  }

  /** Throws ApiError 403 for a request addressed to, or sent by, somebody else's site. */
  checkSite(request: Request): void {
    const host = request.headers.get('host') ?? '';
    if (!this.#isOurs(host)) throw new ApiError(403, 'the Host of the request is not this server');
    const origin = request.headers.get('origin');
    if (origin !== null && !this.#isOurOrigin(origin, host)) {
      throw new ApiError(403, 'requests from other sites are refused');
    }
    if (request.headers.get('sec-fetch-site') === 'cross-site') {
      throw new ApiError(403, 'requests from other sites are refused');
    }
  }

  /** Throws ApiError 401 unless the request carries the token or a session. */
  checkToken(request: Request): void {
    const authorization = request.headers.get('authorization');
    if (authorization !== null) {
      const [scheme, token] = authorization.split(' ');
      if (scheme?.toLowerCase() === 'bearer' && this.#isToken(token ?? '')) return;
      throw new ApiError(401, 'the token is not the one in the file "token" of the state directory');
    }
    if (this.#hasSession(request)) return;
    throw new ApiError(
      401,
      'a token is needed: send "Authorization: Bearer …" with the content of the file "token" in the state directory',
    );
  }

  /** A query string that lets one browser in, once: `?login=…`. */
  newLoginLink(): string {
    this.#forgetExpired();
    const key = randomBytes(tokenBytes).toString('base64url');
    this.#links.set(key, this.#clock.nowMs() + linkTtlMs);
    return `?${linkParameter}=${key}`;
  }

  /** For a login link: the reply that sets the cookie and takes the link out of the address bar. Null for other requests. */
  login(request: Request): Response | null {
    const url = new URL(request.url);
    const key = url.searchParams.get(linkParameter);
    if (key === null || request.method !== 'GET') return null;
    const expiresMs = this.#links.get(key);
    this.#links.delete(key);
    if (expiresMs === undefined || expiresMs < this.#clock.nowMs()) {
      throw new ApiError(401, 'this link was used or is too old; sluice dashboard prints a new one');
    }
    const session = randomBytes(tokenBytes).toString('base64url');
    this.#forgetExpired();
    this.#sessions.set(session, this.#clock.nowMs() + sessionTtlMs);
    url.searchParams.delete(linkParameter);
    return new Response(null, {
      status: 303,
      headers: {
        location: `${url.pathname}${url.search}`,
        'set-cookie': `${cookieName}=${session}; HttpOnly; SameSite=Strict; Path=/; Max-Age=${sessionTtlMs / 1000}`,
        'cache-control': 'no-store',
        'referrer-policy': 'no-referrer',
      },
    });
  }

  #isToken(token: string): boolean {
    return timingSafeEqual(digest(token), this.#tokenDigest);
  }

  #hasSession(request: Request): boolean {
    const cookies = request.headers.get('cookie') ?? '';
    for (const part of cookies.split(';')) {
      const [name, value = ''] = part.trim().split('=');
      if (name === cookieName && (this.#sessions.get(value) ?? 0) > this.#clock.nowMs()) return true;
    }
    return false;
  }

  #isOurs(host: string): boolean {
    const name = hostName(host);
    return name !== null && (isLoopback(name) || this.#hostNames.has(name));
  }

  /** Same site means the same host and port: another port of localhost is another application. */
  #isOurOrigin(origin: string, host: string): boolean {
    const match = /^https?:\/\/([^/]+)$/.exec(origin);
    return (
      match?.[1] !== undefined && match[1].toLowerCase() === host.toLowerCase() && this.#isOurs(match[1])
    );
  }

  #forgetExpired(): void {
    const nowMs = this.#clock.nowMs();
    for (const table of [this.#links, this.#sessions]) {
      for (const [key, expiresMs] of table) if (expiresMs < nowMs) table.delete(key);
      for (const key of table.keys()) {
        if (table.size < maxSessions) break;
        table.delete(key);
      }
    }
  }
}

/** Addresses that only this machine can reach. */
export function isLoopback(name: string): boolean {
  return name === 'localhost' || /^127(?:\.\d{1,3}){3}$/.test(name) || name === '::1' || name === '[::1]';
}

/** The name of a Host value, lower case, without its port; null when it is not one. */
function hostName(host: string): string | null {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(?::\d{1,5})?$/i.exec(host);
  return match?.[1]?.toLowerCase() ?? null;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
