/**
 * What a configuration set and the proxy does not honour.
 *
 * Nothing is dropped in silence: the decoder lists each such place, and its caller decides whether the
 * resource is refused (NACK) or accepted with a warning.
 */

export type UnhonouredReason = 'field' | 'unknown-field' | 'unknown-type' | 'unknown-enum-value';

export interface Unhonoured {
  /** Proto path within the resource: `filter_chains[0].filters[1].typed_config.stat_prefix`. */
  readonly path: string;
  readonly reason: UnhonouredReason;
  /** Full name of the message that holds the field. */
  readonly messageType: string;
  /** The field's number, for `unknown-field`; the enum's number or text; the Any's type URL; else empty. */
  readonly detail: string;
}

export class UnhonouredReport {
  readonly #entries: Unhonoured[] = [];
  #isTruncated = false;

  get entries(): readonly Unhonoured[] {
    return this.#entries;
  }

  /** More was found than is kept: a hostile message cannot make the report large. */
  get isTruncated(): boolean {
    return this.#isTruncated;
  }

  add(entry: Unhonoured): void {
    if (this.#entries.length < maxEntries) this.#entries.push(entry);
    else this.#isTruncated = true;
  }
}

const maxEntries = 1_000;

/** One line for a log or a NACK. */
export function describeUnhonoured(entry: Unhonoured): string {
  switch (entry.reason) {
    case 'field':
      return `${entry.path}: not supported`;
    case 'unknown-field':
      return `${entry.path}: ${entry.messageType} has no field ${entry.detail} known here`;
    case 'unknown-type':
      return `${entry.path}: type ${entry.detail} is not supported`;
    case 'unknown-enum-value':
      return `${entry.path}: value ${entry.detail} is not known`;
  }
}
