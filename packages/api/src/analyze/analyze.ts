/**
 * What is wrong between objects that are each right: references to nothing, routes that cannot be reached, two
 * owners of one host. Pure over a set of validated objects, so `sluice analyze` and the control plane's warnings
 * say the same. Suppressed per object by annotation: a list of codes, or `*`.
 */
import { keyOf, formatKey, type KubeObject } from '../object.ts';
import { sortProblems, type Problem } from '../problem.ts';
import { analyzeAliases } from './aliases.ts';
import { analyzeHttpRoutes } from './http-routes.ts';
import { analyzeMutualTls } from './mutual-tls.ts';
import { analyzeVirtualServices } from './routes.ts';
import { analyzeTunnels } from './tunnels.ts';
import { analyzeServices } from './services.ts';
import { World, type AnalyzedObject, type WorldOptions } from './world.ts';

export const suppressAnnotations = [
  'galley.istio.io/analyze-suppress',
  'sluice.dev/analyze-suppress',
] as const;

/** Objects must be usable (`Validated.isUsable`); the order decides who came first where ages are not known. */
export function analyze(
  objects: readonly AnalyzedObject[],
  options: Partial<WorldOptions> = {},
): readonly Problem[] {
  const settled: WorldOptions = {
    clusterDomain: 'cluster.local',
    rootNamespace: 'istio-system',
    defaultNamespace: 'default',
    instances: [],
    knowsAllInstances: false,
    ...options,
  };
  const world = new World(oldestFirst(objects), settled);
  analyzeDuplicates(objects, world);
  analyzeVirtualServices(world);
  analyzeServices(world);
  analyzeAliases(world);
  analyzeTunnels(world);
  analyzeHttpRoutes(world);
  analyzeMutualTls(world);
  const suppressed = suppressions(objects, settled.defaultNamespace);
  return sortProblems(world.problems.filter((problem) => !isSuppressed(problem, suppressed)));
}

/** By creation time, objects without one last in the order given: the oldest of several owners wins. */
function oldestFirst(objects: readonly AnalyzedObject[]): AnalyzedObject[] {
  const ageOf = (entry: AnalyzedObject) => entry.object.metadata.creationTimestamp ?? '\uffff';
  return [...objects].sort((a, b) => (ageOf(a) < ageOf(b) ? -1 : ageOf(a) > ageOf(b) ? 1 : 0));
}

function analyzeDuplicates(objects: readonly AnalyzedObject[], world: World): void {
  const owners = new Map<string, KubeObject>();
  for (const { object } of objects) {
    const key = formatKey(keyOf(object, world.options.defaultNamespace));
    const first = owners.get(key);
    if (first === undefined) owners.set(key, object);
    else
      world.report(
        object,
        'SL9003',
        'error',
        ['metadata', 'name'],
        `is defined twice; the first is ${world.nameOf(first)}`,
        'remove or rename one of them',
      );
  }
}

/** Codes that each object's annotations silence, by key. */
function suppressions(
  objects: readonly AnalyzedObject[],
  defaultNamespace: string,
): ReadonlyMap<string, ReadonlySet<string>> {
  const result = new Map<string, ReadonlySet<string>>();
  for (const { object } of objects) {
    const texts = suppressAnnotations.map((name) => object.metadata.annotations?.[name] ?? '');
    const codes = texts
      .join(',')
      .split(',')
      .map((code) => code.trim().replace(/^(?:IST|KIA)/, 'SL'));
    const used = codes.filter((code) => code !== '');
    if (used.length > 0) result.set(formatKey(keyOf(object, defaultNamespace)), new Set(used));
  }
  return result;
}

function isSuppressed(problem: Problem, suppressed: ReadonlyMap<string, ReadonlySet<string>>): boolean {
  const codes = problem.key === undefined ? undefined : suppressed.get(formatKey(problem.key));
  return codes !== undefined && (codes.has('*') || codes.has(problem.code));
}
