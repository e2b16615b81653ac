/** Counts of the API's requests, and the gauges that are read from the store and the registry at each scrape. */
import {
  prometheusContentType,
  renderPrometheusText,
  type Logger,
  type MetricsRegistry,
} from '@sluice/runtime';
import type { InstanceRegistry } from '../registry/instance-registry.ts';
import type { Access } from './access.ts';
import { replyTo } from './api/reply.ts';
import type { ResourceStore } from '../source/store.ts';
import { healthReply, type Readiness } from './health.ts';

export interface ApiMetrics {
  observe(method: string, status: number, durationMs: number): void;
}

const durationBoundariesMs = [1, 5, 10, 25, 50, 100, 250, 500, 1000, 5000];
const methods: ReadonlySet<string> = new Set(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']);

export function createApiMetrics(metrics: MetricsRegistry): ApiMetrics {
  const requests = metrics.family('counter', 'sluice_api_requests_total', 'Requests to the API', [
    'method',
    'code',
  ]);
  const duration = metrics.histogram(
    'sluice_api_request_duration_milliseconds',
    'Time to the head of the reply',
    durationBoundariesMs,
  );
  return {
    observe(method, status, durationMs) {
      requests.labels([methods.has(method) ? method : 'other', String(status)]).inc();
      duration.observe(durationMs);
    },
  };
}

export interface ScrapedParts {
  readonly metrics: MetricsRegistry;
  readonly log: Logger;
  readonly store: ResourceStore;
  /** Why the state cannot be written; null while it can. */
  readonly storageTrouble: () => string | null;
  readonly registry: InstanceRegistry;
  readonly readiness: Readiness;
  readonly access: Access;
}

/** The handler of the metrics port: `/metrics` and the health endpoints; open to whoever reaches it on this machine. */
export function createMetricsHandler(parts: ScrapedParts): (request: Request) => Promise<Response> {
  const update = createGauges(parts);
  const reply = (request: Request): Response => {
    parts.access.checkSite(request);
    const { pathname } = new URL(request.url);
    const health = healthReply(pathname, parts.readiness);
    if (health !== null) return health;
    if (pathname !== '/metrics') return new Response('see /metrics\n', { status: 404 });
    update();
    return new Response(renderPrometheusText(parts.metrics), {
      headers: { 'content-type': prometheusContentType },
    });
  };
  return (request) => replyTo(parts.log, () => reply(request));
}

function createGauges({ metrics, store, storageTrouble, registry }: ScrapedParts): () => void {
  const revision = metrics.gauge('sluice_store_revision', 'Revision of the last write');
  const resources = metrics.family('gauge', 'sluice_resources', 'Resources by kind and owner', [
    'kind',
    'owner',
  ]);
  const invalid = metrics.gauge(
    'sluice_resources_invalid',
    'Resources whose present generation is not valid',
  );
  const fileProblems = metrics.gauge(
    'sluice_resource_files_with_problems',
    'Folder files with problems of their own',
  );
  const instances = metrics.family('gauge', 'sluice_registry_instances', 'Registered instances', ['health']);
  const writable = metrics.gauge(
    'sluice_store_writable',
    '0 while the disk refuses writes: changes are refused, what is there goes on',
  );
  const frozen = metrics.gauge(
    'sluice_registry_eviction_frozen',
    '1 while too many instances are silent to evict any',
  );
  const unwritten = metrics.gauge(
    'sluice_registry_unwritten_instances',
    'Instances whose health or end holds in memory until the disk takes it',
  );
  const evictions = metrics.counter(
    'sluice_registry_evictions_total',
    'Instances taken out because they stopped renewing',
  );
  const memory = metrics.gauge('process_resident_memory_bytes', 'Resident memory');
  const cpu = metrics.counter('process_cpu_seconds_total', 'CPU time used');
  const counted = new Set<string>();
  return () => {
    revision.set(store.revision);
    const counts = new Map<string, number>([...counted].map((labels) => [labels, 0]));
    let invalidCount = 0;
    for (const { key, origin, problems } of store.all()) {
      const labels = `${key.kind}\n${origin.source}`;
      counted.add(labels);
      counts.set(labels, (counts.get(labels) ?? 0) + 1);
      if (problems.some((problem) => problem.severity === 'error')) invalidCount++;
    }
    for (const [labels, count] of counts) resources.labels(labels.split('\n')).set(count);
    invalid.set(invalidCount);
    writable.set(storageTrouble() === null ? 1 : 0);
    fileProblems.set(store.fileProblems.size);
    let healthy = 0;
    for (const instance of registry.instances.values()) if (instance.isHealthy) healthy++;
    instances.labels(['healthy']).set(healthy);
    instances.labels(['unhealthy']).set(registry.instances.size - healthy);
    frozen.set(registry.isFrozen ? 1 : 0);
    unwritten.set(registry.unwritten);
    evictions.inc(registry.evictions - evictions.value);
    memory.set(process.memoryUsage.rss());
    const usage = process.cpuUsage();
    cpu.inc((usage.user + usage.system) / 1e6 - cpu.value);
  };
}
