/** ADS messages and resources as short lines of text, and back, for transcripts and models. */
import {
  ClusterLoadAssignmentTable,
  ClusterTable,
  DeltaDiscoveryRequestTable,
  DeltaDiscoveryResponseTable,
  DiscoveryRequestTable,
  DiscoveryResponseTable,
  ListenerTable,
  RouteConfigurationTable,
  VirtualHostTable,
} from '../gen/tables.ts';
import { openAny, resourceName } from '../ads/resource-name.ts';
import type { AdsResource, AdsResources, AdsSnapshot } from '../ads/snapshot.ts';
import { xdsTypes } from '../ads/types.ts';
import { decodeMessage } from '../proto/decode.ts';
import { encodeAny } from '../proto/encode.ts';

export const shortTypes: Readonly<Record<string, string>> = {
  cds: xdsTypes.cluster,
  eds: xdsTypes.endpoint,
  lds: xdsTypes.listener,
  rds: xdsTypes.route,
  vhds: xdsTypes.virtualHost,
};

export function typeUrlOf(short: string): string {
  const typeUrl = shortTypes[short];
  if (typeUrl === undefined) throw new Error(`no type ${short}`);
  return typeUrl;
}

export function shortOf(typeUrl: string): string {
  return Object.keys(shortTypes).find((short) => shortTypes[short] === typeUrl) ?? typeUrl;
}

/** A resource whose content is its name and version. */
export function makeResource(short: string, name: string, version: string): AdsResource {
  return { version, bytes: encodeContent(short, name, version) };
}

function encodeContent(short: string, name: string, version: string): Uint8Array {
  switch (short) {
    case 'cds':
      return encodeAny(ClusterTable, { name, altStatName: version });
    case 'eds':
      return encodeAny(ClusterLoadAssignmentTable, {
        clusterName: name,
        endpoints: [{ locality: { zone: version } }],
      });
    case 'lds':
      return encodeAny(ListenerTable, { name, statPrefix: version });
    case 'rds':
      return encodeAny(RouteConfigurationTable, { name, internalOnlyHeaders: [version] });
    case 'vhds':
      return encodeAny(VirtualHostTable, { name, domains: [version] });
    default:
      throw new Error(`no type ${short}`);
  }
}

/** `cds: a@1 b@2; lds: l@1`, with `=alias` after a resource. */
export function makeSnapshot(text: string): AdsSnapshot {
  const types = new Map<string, AdsResources>();
  for (const part of text.split(';').filter((piece) => piece.trim() !== '')) {
    const [short = '', list = ''] = part.trim().split(/:\s*/);
    const resources = new Map<string, AdsResource>();
    for (const word of list.split(' ').filter((piece) => piece !== '')) {
      const [spec = '', alias] = word.split('=');
      const [name = '', version = ''] = spec.split('@');
      const resource = makeResource(short, name, version);
      resources.set(name, alias === undefined ? resource : { ...resource, aliases: [alias] });
    }
    types.set(typeUrlOf(short), resources);
  }
  return { version: '', types };
}

/** What stands in a resource that `makeResource` made. */
export function contentOf(any: Uint8Array): string {
  const { typeUrl, value } = openAny(any);
  return `${resourceName(value)}@${versionInside(typeUrl, value)}`;
}

export function versionInside(typeUrl: string, value: Uint8Array): string {
  switch (shortOf(typeUrl)) {
    case 'cds':
      return decodeMessage(ClusterTable, value).altStatName;
    case 'eds':
      return decodeMessage(ClusterLoadAssignmentTable, value).endpoints[0]?.locality?.zone ?? '';
    case 'lds':
      return decodeMessage(ListenerTable, value).statPrefix;
    case 'rds':
      return decodeMessage(RouteConfigurationTable, value).internalOnlyHeaders[0] ?? '';
    default:
      return decodeMessage(VirtualHostTable, value).domains[0] ?? '';
  }
}

export interface ShownResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly version: string;
  readonly text: string;
}

export function showResponse(isDelta: boolean, bytes: Uint8Array): ShownResponse {
  if (isDelta) {
    const response = decodeMessage(DeltaDiscoveryResponseTable, bytes);
    const parts = response.resources.map(({ name, version, resource, aliases }) => {
      const content = resource === undefined ? `${name} absent` : contentOf(resource);
      if (resource !== undefined && content !== `${name}@${version}`)
        throw new Error(`${content} sent as ${name}@${version}`);
      return aliases.length > 0 ? `${content}=${aliases.join(',')}` : content;
    });
    const removed = response.removedResources.map((name) => `-${name}`);
    return {
      typeUrl: response.typeUrl,
      nonce: response.nonce,
      version: response.systemVersionInfo,
      text: `${shortOf(response.typeUrl)} #${response.nonce}: ${[...parts, ...removed].join(' ') || '(empty)'}`,
    };
  }
  const response = decodeMessage(DiscoveryResponseTable, bytes);
  return {
    typeUrl: response.typeUrl,
    nonce: response.nonce,
    version: response.versionInfo,
    text: `${shortOf(response.typeUrl)} #${response.nonce}: ${response.resources.map(contentOf).join(' ') || '(empty)'}`,
  };
}

export function showRequest(isDelta: boolean, bytes: Uint8Array): string {
  const words: string[] = [];
  const add = (label: string, text: string): void => void (text === '' || words.push(`${label}=${text}`));
  if (isDelta) {
    const request = decodeMessage(DeltaDiscoveryRequestTable, bytes);
    add('node', request.node?.id ?? '');
    add('subscribe', request.resourceNamesSubscribe.join(','));
    add('unsubscribe', request.resourceNamesUnsubscribe.join(','));
    add('held', Object.entries(request.initialResourceVersions).map((entry) => entry.join('@')).join(',')); // prettier-ignore
    add('nonce', request.responseNonce);
    add('error', JSON.stringify(request.errorDetail?.message ?? '').replace(/^""$/, ''));
    return `${shortOf(request.typeUrl)} ${words.join(' ')}`.trim();
  }
  const request = decodeMessage(DiscoveryRequestTable, bytes);
  add('node', request.node?.id ?? '');
  add('names', request.resourceNames.join(','));
  add('version', request.versionInfo);
  add('nonce', request.responseNonce);
  add('error', JSON.stringify(request.errorDetail?.message ?? '').replace(/^""$/, ''));
  return `${shortOf(request.typeUrl)} ${words.join(' ')}`.trim();
}
