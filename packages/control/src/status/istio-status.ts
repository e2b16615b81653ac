/** Status of Istio's kinds (IstioStatus: conditions, validationMessages, observedGeneration). */
import type { DestinationRuleSpec, Problem } from '@sluice/api';
import { formatKey } from '@sluice/api';
import type { MeshModel } from '../model/mesh-model.ts';
import type { StoredObject } from '../source/store.ts';
import { acceptedCondition } from './accepted.ts';
import { fieldsOf, mergeConditions } from './condition.ts';
import type { Condition } from './condition.ts';
import { programmedCondition } from './programmed.ts';
import type { Progress } from './programmed.ts';
import { resolvedCondition, namedAliases, unresolvedDestinations, unresolvedRule } from './references.ts';
import { unmetPorts } from './unmet-ports.ts';

export interface StatusFacts {
  readonly model: MeshModel;
  readonly progress: ReadonlyMap<string, Progress>;
  /** By formatted key. */
  readonly conflicts: ReadonlyMap<string, Condition>;
  /** Findings of the analysis that concern the resource. */
  readonly findings: readonly Problem[];
  /** RFC 3339, for conditions that change now. */
  readonly time: string;
}

/** Kinds that turn into configuration of proxies. */
const programmedKinds: ReadonlySet<string> = new Set([
  'VirtualService',
  'DestinationRule',
  'ServiceEntry',
  'Sidecar',
  'PeerAuthentication',
]);

export function istioStatus(stored: StoredObject, facts: StatusFacts): unknown {
  const before = fieldsOf(stored.object.status);
  const messages = [...stored.problems, ...facts.findings].map(validationMessage);
  const status: Record<string, unknown> = {
    ...before,
    conditions: mergeConditions(
      before['conditions'],
      conditionsFor(stored, facts),
      stored.generation,
      facts.time,
    ),
    observedGeneration: stored.generation,
  };
  if (messages.length > 0) status['validationMessages'] = messages;
  else delete status['validationMessages'];
  return status;
}

function conditionsFor(stored: StoredObject, facts: StatusFacts): Condition[] {
  const { key } = stored;
  const accepted = acceptedCondition(stored, 'Invalid');
  if (!stored.serving) return [accepted];
  const conflict = facts.conflicts.get(formatKey(key));
  const conditions = [accepted, ...resolved(stored, facts), ...(conflict ? [conflict] : [])];
  if (key.kind === 'Gateway') conditions.push(gatewayPending);
  if (key.kind === 'WorkloadGroup') conditions.push(groupPending);
  if (programmedKinds.has(key.kind)) conditions.push(programmedCondition(facts.progress.get(formatKey(key))));
  return conditions;
}

/** Until gateways run, a Gateway is taken and has no effect. */
const gatewayPending: Condition = {
  type: 'Programmed',
  status: 'False',
  reason: 'Pending',
  message: 'this version runs no gateways yet: the resource is kept and has no effect',
};

/** Nobody registers by a template yet. */
const groupPending: Condition = {
  type: 'Programmed',
  status: 'False',
  reason: 'Pending',
  message:
    'workloads register with everything of their own in this version: the resource is kept and has no effect',
};

function resolved({ key, serving }: StoredObject, { model }: StatusFacts): Condition[] {
  if (key.kind === 'VirtualService') {
    const source = model.virtualServices.get(formatKey(key));
    if (!source) return [];
    const problems = [...namedAliases(model, source.hosts), ...unresolvedDestinations(model, source)];
    return [resolvedCondition(problems)];
  }
  if (key.kind === 'DestinationRule')
    return [resolvedCondition(unresolvedRule(model, key, serving?.spec as DestinationRuleSpec))];
  if (key.kind === 'PeerAuthentication') {
    const source = model.peerAuthentications.get(formatKey(key));
    const problems = source ? unmetPorts(model, source) : [];
    return problems.length > 0 ? [resolvedCondition(problems)] : [];
  }
  return [];
}

/** AnalysisMessageBase of Istio, with the words and the place that it leaves to its tools. */
function validationMessage({ code, severity, message, path }: Problem): object {
  const level = severity === 'error' ? 'ERROR' : severity === 'warning' ? 'WARNING' : 'INFO';
  return { type: { name: code, code }, level, message: path === '' ? message : `${path}: ${message}` };
}
