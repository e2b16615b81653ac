/**
 * Filter chains of one application port: which first bytes are taken, and how they are read. The layout is istiod's:
 * STRICT has chains for mutual TLS only; PERMISSIVE tells mutual TLS by the protocols a sidecar offers, plaintext, and
 * the application's own TLS, which passes unread; DISABLE takes everything as it comes.
 */
import type { FilterChain, FilterChainMatch, Init, NetworkFilter } from '@sluice/xds';
import type { TlsMode } from '../model/peer-authentication.ts';
import { sniffedProtocols } from './inspectors.ts';
import { inboundMutualTls, istioAlpn } from './tls-context.ts';
import type { MeshSettings } from './node.ts';

/** How a port's bytes are read: as requests, unread, or as what they turn out to be. */
export type InboundReading = 'http' | 'tcp' | 'auto';

export interface InboundTarget {
  readonly reading: InboundReading;
  /** Null for proxies that do not speak TLS. */
  readonly mode: TlsMode | null;
  /** Narrows every chain of the port. */
  readonly match: Init<FilterChainMatch>;
  readonly names: { readonly http: string; readonly tcp: string };
  readonly filters: { readonly http: Init<NetworkFilter>; readonly tcp: Init<NetworkFilter> };
}

export interface InboundChains {
  readonly chains: readonly Init<FilterChain>[];
  readonly needsTlsInspector: boolean;
  readonly needsHttpInspector: boolean;
  /** A client may wait for the server to speak first: it must not be waited for in turn. */
  readonly mayBeSilent: boolean;
}

interface Plan {
  readonly transport: 'tls' | 'raw_buffer' | 'any';
  readonly protocols: readonly string[];
  readonly reads: 'http' | 'tcp';
  readonly isMutual: boolean;
}

export function inboundChains(target: InboundTarget, mesh: MeshSettings, knowsHttp2: boolean): InboundChains {
  const plans = plansOf(target.reading, target.mode ?? 'DISABLE', knowsHttp2);
  return {
    chains: plans.map((plan) => chainOf(plan, target, mesh)),
    needsTlsInspector: plans.some((plan) => plan.transport === 'tls'),
    needsHttpInspector: plans.some((plan) => plan.transport !== 'tls' && plan.protocols.length > 0),
    mayBeSilent: target.reading !== 'http' && plans.some((plan) => plan.transport === 'raw_buffer'),
  };
}

function chainOf(plan: Plan, target: InboundTarget, mesh: MeshSettings): Init<FilterChain> {
  const match: Init<FilterChainMatch> = {
    ...target.match,
    ...(plan.transport === 'any' ? {} : { transportProtocol: plan.transport }),
    ...(plan.protocols.length > 0 ? { applicationProtocols: plan.protocols } : {}),
  };
  return {
    name: target.names[plan.reads],
    ...(Object.keys(match).length > 0 ? { filterChainMatch: match } : {}),
    filters: [target.filters[plan.reads]],
    ...(plan.isMutual ? { transportSocket: inboundMutualTls(plan.reads, mesh) } : {}),
  };
}

function plansOf(reading: InboundReading, mode: TlsMode, knowsHttp2: boolean): Plan[] {
  switch (mode) {
    case 'STRICT':
      return reading === 'auto' ? [mutual('http', istioAlpn.http), mutual('tcp', [])] : [mutual(reading, [])];
    case 'PERMISSIVE':
      return permissivePlans(reading, knowsHttp2);
    case 'DISABLE':
      // Both by transport: matching never goes back from a transport that is named to one that is not.
      return reading === 'auto'
        ? [sniffed(knowsHttp2), plain('tcp')]
        : [{ ...plain(reading), transport: 'any' }];
  }
}

function permissivePlans(reading: InboundReading, knowsHttp2: boolean): Plan[] {
  // TLS that no sidecar began is the application's own business.
  const passed: Plan = { ...plain('tcp'), transport: 'tls' };
  if (reading === 'auto') {
    return [
      mutual('http', istioAlpn.http),
      sniffed(knowsHttp2),
      mutual('tcp', istioAlpn.tcp),
      plain('tcp'),
      passed,
    ];
  }
  const all = ['istio', 'istio-peer-exchange', ...istioAlpn.http];
  return [mutual(reading, all), plain(reading), passed];
}

function mutual(reads: 'http' | 'tcp', protocols: readonly string[]): Plan {
  return { transport: 'tls', protocols, reads, isMutual: true };
}

function plain(reads: 'http' | 'tcp'): Plan {
  return { transport: 'raw_buffer', protocols: [], reads, isMutual: false };
}

/** Plaintext that looks like requests. */
function sniffed(knowsHttp2: boolean): Plan {
  return { ...plain('http'), protocols: sniffedProtocols(knowsHttp2).applicationProtocols ?? [] };
}
