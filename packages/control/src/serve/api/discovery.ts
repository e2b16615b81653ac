/** Discovery documents: what kinds the API serves, in the form kubectl and client libraries read. */
import { honouredKinds, type KindInfo } from '@sluice/api';
import { ApiError } from './status-body.ts';

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];
const statusVerbs = ['get', 'patch', 'update'];

/** The release of the Kubernetes API whose conventions are followed; clients compare it with their own. */
const kubernetesVersion = { major: '1', minor: '34' };

export function versionDocument(sluiceVersion: string): object {
  return {
    ...kubernetesVersion,
    gitVersion: `v${kubernetesVersion.major}.${kubernetesVersion.minor}.0+sluice-${sluiceVersion}`,
    gitCommit: '',
    gitTreeState: 'clean',
    buildDate: '1970-01-01T00:00:00Z',
    goVersion: '',
    compiler: 'bun',
    platform: `${process.platform}/${process.arch}`,
  };
}

export function coreVersions(): object {
  return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] };
}

export function groupList(): object {
  const groups = [...new Set(honouredKinds.map((info) => info.group))].filter((group) => group !== '');
  return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups.map(describeGroup) };
}

export function groupDocument(group: string): object {
  if (!honouredKinds.some((info) => info.group === group))
    throw new ApiError(404, `there is no API group ${group}`);
  return { kind: 'APIGroup', apiVersion: 'v1', ...describeGroup(group) };
}

export function resourceList(group: string, version: string): object {
  const served = honouredKinds.filter((info) => info.group === group && info.versions.includes(version));
  const groupVersion = group === '' ? version : `${group}/${version}`;
  if (served.length === 0) throw new ApiError(404, `there is no API ${groupVersion}`);
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources: served.flatMap(describeKind) };
}

function describeGroup(name: string): object {
  const inGroup = honouredKinds.filter((info) => info.group === name);
  const versions = [...new Set(inGroup.flatMap((info) => info.versions))].map((version) => ({
    groupVersion: `${name}/${version}`,
    version,
  }));
  const preferred = inGroup[0]?.version ?? '';
  return { name, versions, preferredVersion: { groupVersion: `${name}/${preferred}`, version: preferred } };
}

function describeKind(info: KindInfo): object[] {
  const described = {
    name: info.plural,
    singularName: info.singular,
    namespaced: info.namespaced,
    kind: info.kind,
    verbs,
    ...(info.shortNames.length === 0 ? {} : { shortNames: info.shortNames }),
    categories: ['all-mesh'],
  };
  if (!info.hasStatus) return [described];
  const status = {
    name: `${info.plural}/status`,
    singularName: '',
    namespaced: info.namespaced,
    kind: info.kind,
    verbs: statusVerbs,
  };
  return [described, status];
}
