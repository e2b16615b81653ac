/**
 * The one route model: VirtualServices and Gateway API routes both compile to it, and one function
 * turns it into xDS (`translate/route-message.ts`). Shapes are close to what proxies can do, names to
 * what both APIs share.
 */
import type { ResourceKey } from '@sluice/api';

export interface RouteRule {
  /** Label in logs and metrics; empty = unnamed. */
  readonly name: string;
  readonly origin: ResourceKey;
  /** Alternatives, one of which must hold; empty = every request. */
  readonly matches: readonly RuleMatch[];
  readonly action: RuleAction;
  /** Total with all retries; null = none. */
  readonly timeoutMs: number | null;
  readonly retry: RuleRetry;
  readonly rewrite: RuleRewrite | null;
  readonly headers: HeaderChanges;
}

export interface RuleMatch {
  readonly name: string;
  readonly path: PathMatch | null;
  readonly method: TextMatch | null;
  readonly scheme: TextMatch | null;
  readonly authority: TextMatch | null;
  readonly headers: readonly HeaderMatch[];
  readonly query: readonly QueryMatch[];
  /** Port of the service; null = any. */
  readonly port: number | null;
  /** Which clients get the rule: decided at translation, never per request. */
  readonly sourceLabels: Readonly<Record<string, string>> | null;
  readonly sourceNamespace: string | null;
}

export interface PathMatch {
  /** `elements` = prefix by whole path elements (Gateway API); `prefix` = of characters (Istio). */
  readonly kind: 'exact' | 'prefix' | 'elements' | 'regex';
  readonly value: string;
  readonly ignoreCase: boolean;
}

export type TextMatch =
  | { readonly kind: 'exact'; readonly value: string }
  | { readonly kind: 'prefix'; readonly value: string }
  | { readonly kind: 'regex'; readonly value: string }
  | { readonly kind: 'present' };

export interface HeaderMatch {
  readonly name: string;
  readonly match: TextMatch;
  /** True: must not match; with `present`: must be absent. */
  readonly isInverted: boolean;
}

export interface QueryMatch {
  readonly name: string;
  readonly match: TextMatch;
}

export type RuleAction =
  | { readonly kind: 'forward'; readonly destinations: readonly RuleDestination[] }
  | {
      readonly kind: 'redirect';
      readonly status: number;
      readonly scheme: string | null;
      readonly host: string | null;
      readonly port: number | 'default' | 'request' | null;
      readonly path: PathReplacement | null;
    }
  | { readonly kind: 'direct'; readonly status: number; readonly body: Uint8Array | null };

/** `prefix` replaces the matched characters (Istio), `elements` the matched path elements (Gateway API). */
export interface PathReplacement {
  readonly kind: 'full' | 'prefix' | 'elements';
  readonly value: string;
}

export interface RuleDestination {
  /** Service key, or null when the reference could not be resolved: its share is answered with 500. */
  readonly service: string | null;
  readonly hostname: string;
  readonly port: number;
  readonly subset: string;
  readonly weight: number;
  readonly headers: HeaderChanges;
  /** Why `service` is null; absent when it is not. */
  readonly problem: ReferenceProblem | null;
}

/** A reference that leads nowhere: reasons are those of the Gateway API's ResolvedRefs condition. */
export interface ReferenceProblem {
  readonly reason: 'BackendNotFound' | 'RefNotPermitted' | 'InvalidKind' | 'UnsupportedProtocol';
  readonly message: string;
}

export interface RuleRewrite {
  readonly path:
    | PathReplacement
    | { readonly kind: 'regex'; readonly pattern: string; readonly replacement: string }
    | null;
  readonly authority: string | null;
}

export interface HeaderChanges {
  readonly request: HeaderOps;
  readonly response: HeaderOps;
}

export interface HeaderOps {
  readonly set: readonly (readonly [string, string])[];
  readonly add: readonly (readonly [string, string])[];
  readonly remove: readonly string[];
}

/** `default` = no conditions were written: safe by default (design D8). `off` = attempts: 0. */
export type RuleRetry =
  | { readonly kind: 'default'; readonly perTryTimeoutMs: number | null }
  | { readonly kind: 'off' }
  | {
      readonly kind: 'policy';
      readonly attempts: number;
      /** Written conditions, or null for the safe default ones. */
      readonly on: readonly string[] | null;
      readonly statusCodes: readonly number[];
      readonly perTryTimeoutMs: number | null;
      /** Base of the exponential wait, which is drawn from 0 on. */
      readonly backoffMs: number | null;
      /** No retry comes sooner. */
      readonly leastBackoffMs: number | null;
      readonly ignorePreviousHosts: boolean;
      readonly remoteLocalities: boolean;
    };

export const noOps: HeaderOps = { set: [], add: [], remove: [] };
export const noChanges: HeaderChanges = { request: noOps, response: noOps };

export const defaultRetry: RuleRetry = { kind: 'default', perTryTimeoutMs: null };
