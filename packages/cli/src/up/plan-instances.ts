/** Workloads × replicas → instances with names and ports. */
import type { SluiceWorkload } from '@sluice/api';
import type { ChosenCommand } from './choose-command.ts';
import type { InstancePlan } from './instance-plan.ts';
import type { PortBook, WantedPorts } from './port-book.ts';

/** What planning needs of a service. */
export interface ServiceSummary {
  readonly name: string;
  readonly namespace: string;
  readonly ports: readonly { readonly number: number; readonly name: string }[];
}

export interface PlanOptions {
  readonly workloads: readonly SluiceWorkload[];
  readonly services: readonly ServiceSummary[];
  /** By workload, `namespace/name`. */
  readonly commands: ReadonlyMap<string, ChosenCommand>;
  readonly book: PortBook;
}

/** Outbound listeners at the least: room for services that come later. */
const minOutbound = 24;

export function planInstances({ workloads, services, commands, book }: PlanOptions): readonly InstancePlan[] {
  const servicePorts = services.reduce((sum, { ports }) => sum + ports.length, 0);
  const outboundCount = Math.max(minOutbound, servicePorts * 2 + 8);
  const preferred = new Set<number>();
  const instances = workloads.flatMap((workload) =>
    namesOf(workload).map((name, index) => ({ name, workload, index })),
  );
  const wanted = instances.map(({ name, workload, index }): WantedPorts => ({
    instance: `${name}.${workload.namespace}`,
    outboundCount,
    ports: workload.ports.map((port) => ({
      name: port.name,
      appPort: index === 0 ? port.targetPort : undefined,
      preferredInbound: index === 0 ? onceOnly(preferred, port.port) : undefined,
    })),
  }));
  const ports = book.plan(wanted);
  return instances.flatMap(({ name, workload }): InstancePlan[] => {
    const plan = ports.get(`${name}.${workload.namespace}`);
    const command = commands.get(workloadKey(workload));
    return plan === undefined || command === undefined ? [] : [{ name, workload, command, ports: plan }];
  });
}

export function workloadKey({ namespace, name }: Pick<SluiceWorkload, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`;
}

/** The workload's name, numbered where there are several. */
export function namesOf({ name, replicas }: Pick<SluiceWorkload, 'name' | 'replicas'>): readonly string[] {
  return replicas === 1 ? [name] : Array.from({ length: replicas }, (_, index) => `${name}-${index}`);
}

/** The first workload that serves a port gets it for its sidecar, where it is free: `localhost:8080` then works. */
function onceOnly(seen: Set<number>, port: number): number | undefined {
  if (seen.has(port)) return undefined;
  seen.add(port);
  return port;
}
