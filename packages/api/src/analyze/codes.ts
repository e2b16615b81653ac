/**
 * Codes of the analysis. They are stable: people search for them and suppress them. `SL` and Istio's number where
 * Istio's analyzer (IST) or Kiali (KIA) has the same finding, `SL9nnn` where it is ours alone.
 */
export const analysisCodes = {
  SL0101: 'A resource that is referred to does not exist',
  SL0109: 'Several VirtualServices of the mesh claim the same host',
  SL0110: 'Several Sidecars select the same workloads',
  SL0111: 'Several Sidecars without selector stand in one namespace',
  SL0112: 'A route must name a port because the service has several',
  SL0113: 'A DestinationRule and a PeerAuthentication contradict each other',
  SL0118: 'The name of a port does not tell its protocol',
  SL0127: 'A selector matches no workload',
  SL0130: 'A route can never be reached',
  SL0131: 'A match has no effect because an earlier one covers it',
  SL0132: 'No gateway of the VirtualService serves the host',
  SL0173: 'A subset selects no workload',
  SL0174: 'The host of a DestinationRule is not known',
  SL0201: 'A subset of a host is defined twice',
  SL1107: 'A route names a subset that no DestinationRule defines',
  SL9001: 'A VirtualService is shadowed by a Gateway API route of the same service',
  SL9002: 'A reference to another namespace is not granted',
  SL9003: 'Two resources have the same name',
  SL9004: 'A written retryOn may repeat requests that are not safe to repeat',
  SL9005: 'Several PeerAuthentications hold for the same workloads',
  SL9006: 'A selector has no effect in the root namespace',
  SL9007: 'A route of connections has no effect on a port whose requests are read',
  SL9008: 'A server is not verified by name',
  // SL9009 said that an ExternalName of the mesh is looked up by DNS all the same, which is so no longer.
  SL9010: 'A rule is written for an alias',
  SL9011: 'ExternalNames go in a circle',
  SL9012: 'An alias has a port that its service has not',
  SL9013: 'An ExternalName is a short form of a service of the mesh',
  SL9014: 'A tunnel does not hold for all destinations of a route',
  SL9015: 'A tunnel has no effect on requests',
} as const;

export type AnalysisCode = keyof typeof analysisCodes;
