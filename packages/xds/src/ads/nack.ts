/**
 * Which resources a rejection is about.
 *
 * The protocol has only a text for that. Our proxy and Envoy both name the resources in it; where a text
 * names none, the resources are sent again in halves until the culprit stands alone (`SuspectQueue`).
 */

/** The names that occur in the text, each as a whole word: `a` is not found in `a.b`. */
export function namedIn(message: string, names: Iterable<string>): readonly string[] {
  return [...names].filter((name) => name !== '' && containsName(message, name));
}

function containsName(message: string, name: string): boolean {
  for (let at = message.indexOf(name); at >= 0; at = message.indexOf(name, at + 1)) {
    if (!isNamePart(message[at - 1]) && !continuesName(message, at + name.length)) return true;
  }
  return false;
}

function isNamePart(char: string | undefined): boolean {
  return char !== undefined && /[\w.|/-]/.test(char);
}

/** A full stop that ends a sentence does not continue a name. */
function continuesName(message: string, at: number): boolean {
  return message[at] === '.' ? isNamePart(message[at + 1]) : isNamePart(message[at]);
}

/** Resources among which an unnamed culprit hides, in groups that are sent one after the other. */
export class SuspectQueue {
  #groups: readonly (readonly string[])[] = [];

  /** The group that may be sent now; undefined when nobody is suspected. */
  get current(): ReadonlySet<string> | undefined {
    const group = this.#groups[0];
    return group === undefined ? undefined : new Set(group);
  }

  get size(): number {
    return this.#groups.reduce((sum, group) => sum + group.length, 0);
  }

  /** Suspected and not in the current group: held back. */
  isHeldBack(name: string): boolean {
    return this.#groups.some((group, index) => index > 0 && group.includes(name));
  }

  /** The current group was taken: all in it are cleared. */
  clearCurrent(): void {
    this.#groups = this.#groups.slice(1);
  }

  /** A response with these was refused without a name. Returns the culprit once only one is left. */
  refused(names: readonly string[]): string | undefined {
    const rest = this.#groups.slice(1);
    if (names.length <= 1) {
      this.#groups = rest;
      return names[0];
    }
    const half = Math.ceil(names.length / 2);
    this.#groups = [names.slice(0, half), names.slice(half), ...rest];
    return undefined;
  }

  /** Its content changed: it is no longer what was refused. */
  forget(name: string): void {
    if (this.#groups.length === 0) return;
    this.#groups = this.#groups
      .map((group) => group.filter((other) => other !== name))
      .filter((group) => group.length > 0);
  }
}
