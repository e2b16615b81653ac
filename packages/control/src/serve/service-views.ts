/** Services and their endpoints as the API and the page show them. */
import { resolvePort } from '../model/instance.ts';
import type { MeshModel } from '../model/mesh-model.ts';
import type { MeshService } from '../model/service.ts';
import type { EndpointView, ServiceView } from './mesh-views.ts';

export function serviceViews(model: MeshModel): ServiceView[] {
  return [...model.services.values()]
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map((service) => serviceView(model, service));
}

/** An alias as clients of its own namespace see it. */
function serviceView(model: MeshModel, service: MeshService): ServiceView {
  const target = model.concrete(service, service.namespace);
  const leads = model.aliasTarget(service);
  return {
    name: service.name,
    namespace: service.namespace,
    hostname: service.hostname,
    ports: target.ports.map(({ number, name, protocol }) => ({ number, name, protocol })),
    endpoints: endpointsOf(model, target),
    alias:
      target !== service
        ? { kind: 'service', hostname: target.hostname }
        : leads.kind === 'circle'
          ? leads
          : null,
    source: service.source,
  };
}

function endpointsOf(model: MeshModel, service: MeshService): EndpointView[] {
  const [port] = service.ports;
  const selected = model.instancesOf(service).map((instance) => ({
    address: instance.address,
    port: port ? resolvePort(instance, port) : null,
    workload: instance.workload,
    isHealthy: instance.isHealthy || service.publishNotReady,
    locality: instance.locality,
  }));
  const inline = service.inlineEndpoints.map((endpoint) => ({
    address: endpoint.address,
    port: port
      ? (endpoint.ports[port.name] ?? (typeof port.targetPort === 'number' ? port.targetPort : port.number))
      : null,
    workload: service.source.name,
    isHealthy: true,
    locality: endpoint.locality,
  }));
  return [...selected, ...inline];
}
