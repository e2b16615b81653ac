/**
 * A set of counters and gauges of one object (a cluster, a listener), bound to their series on first use.
 *
 * Lazy, because a sidecar knows a thousand clusters and calls ten: a series costs memory in every loop
 * and a line in every scrape. A bound counter is an array load and an addition.
 */
import type { Counter, Family, Gauge, Histogram, MetricsRegistry } from '@sluice/runtime';

/** Milliseconds; Envoy's and Istio's default histogram bounds. */
export const DURATION_BOUNDS_MS: readonly number[] = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000, 600_000,
  1_800_000, 3_600_000,
];

/** One statistic: its last name part, kind and meaning. */
export interface StatDefinition {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
}

type AnyFamily = Family<Counter> | Family<Gauge> | Family<Histogram>;

/** The families of one kind of object in one registry, declared once. */
export class StatFamilies<Name extends string> {
  readonly #families = new Map<Name, AnyFamily>();
  readonly names: readonly Name[];

  constructor(
    registry: MetricsRegistry,
    prefix: string,
    label: string,
    definitions: Readonly<Record<Name, StatDefinition>>,
  ) {
    this.names = Object.keys(definitions) as Name[];
    for (const key of this.names) {
      const { name, type, help } = definitions[key];
      this.#families.set(key, declare(registry, type, `${prefix}${name}`, help, [label]));
    }
  }

  counter(name: Name, label: string): Counter {
    return (this.#families.get(name) as Family<Counter>).labels([label]);
  }

  gauge(name: Name, label: string): Gauge {
    return (this.#families.get(name) as Family<Gauge>).labels([label]);
  }

  histogram(name: Name, label: string): Histogram {
    return (this.#families.get(name) as Family<Histogram>).labels([label]);
  }
}

function declare(
  registry: MetricsRegistry,
  type: StatDefinition['type'],
  name: string,
  help: string,
  labels: readonly string[],
): AnyFamily {
  switch (type) {
    case 'counter':
      return registry.family('counter', name, help, labels);
    case 'gauge':
      return registry.family('gauge', name, help, labels);
    case 'histogram':
      return registry.family('histogram', name, help, labels, { boundaries: DURATION_BOUNDS_MS });
  }
}

/** Counters by response code (`…_rq{envoy_response_code}`) and class (`…_rq_xx{envoy_response_code_class}`). */
export class CodeCounters {
  readonly #byCode: Family<Counter> | null;
  readonly #byClass: Family<Counter>;
  readonly #label: string;
  readonly #codes = new Map<number, Counter>();
  readonly #classes: (Counter | undefined)[] = [];
  #lastCode = -1;
  #lastCounter: Counter | null = null;

  constructor(families: CodeFamilies, label: string) {
    this.#byCode = families.byCode;
    this.#byClass = families.byClass;
    this.#label = label;
  }

  /** Codes outside 100–599 are counted under no class (there was no response). */
  count(code: number): void {
    const group = Math.floor(code / 100);
    if (group < 1 || group > 5) return;
    (this.#classes[group] ??= this.#byClass.labels([`${group}`, this.#label])).inc();
    if (this.#byCode === null) return;
    if (code !== this.#lastCode) {
      this.#lastCounter = this.#counterOf(this.#byCode, code);
      this.#lastCode = code;
    }
    this.#lastCounter?.inc();
  }

  #counterOf(family: Family<Counter>, code: number): Counter {
    let counter = this.#codes.get(code);
    if (counter === undefined) {
      counter = family.labels([`${code}`, this.#label]);
      this.#codes.set(code, counter);
    }
    return counter;
  }
}

export interface CodeFamilies {
  readonly byCode: Family<Counter> | null;
  readonly byClass: Family<Counter>;
}

export function codeFamilies(
  registry: MetricsRegistry,
  prefix: string,
  label: string,
  isByCode: boolean,
): CodeFamilies {
  return {
    byCode: isByCode
      ? registry.family('counter', prefix, 'Responses by code.', ['envoy_response_code', label])
      : null,
    byClass: registry.family('counter', `${prefix}_xx`, 'Responses by class of code.', [
      'envoy_response_code_class',
      label,
    ]),
  };
}

/** One value per registry, made on first use and gone with it. */
export function perRegistry<T>(make: (registry: MetricsRegistry) => T): (registry: MetricsRegistry) => T {
  const made = new WeakMap<MetricsRegistry, T>();
  return (registry) => {
    let value = made.get(registry);
    if (value === undefined) {
      value = make(registry);
      made.set(registry, value);
    }
    return value;
  };
}

/** Characters that separate parts of a statistic's text name. */
export function statLabel(name: string): string {
  return name.replaceAll(':', '_');
}
