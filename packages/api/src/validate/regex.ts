/**
 * Whether a regular expression is one that RE2 takes: the proxies match in linear time and therefore have no
 * look-around and no back-references. This is a scan of the syntax, not an engine; where it cannot tell it lets
 * pass, and the proxy's engine decides.
 */

/** Longer patterns cost memory in every proxy. */
export const maxRegexLength = 4096;
/** RE2's own limit of `{n,m}`. */
const maxRepeat = 1000;

/** What RE2 would refuse, in words; undefined when nothing is known to be wrong. */
export function regexProblem(pattern: string): string | undefined {
  if (pattern.length > maxRegexLength) return `is longer than ${maxRegexLength} characters`;
  return new Scan(pattern).problem();
}

class Scan {
  readonly #text: string;
  #at = 0;
  #depth = 0;
  /** Whether there is something a repetition can repeat. */
  #hasAtom = false;

  constructor(text: string) {
    this.#text = text;
  }

  problem(): string | undefined {
    while (this.#at < this.#text.length) {
      const problem = this.#step(this.#text[this.#at] ?? '');
      if (problem !== undefined) return problem;
    }
    return this.#depth > 0 ? 'has a ( without its )' : undefined;
  }

  #step(char: string): string | undefined {
    switch (char) {
      case '\\':
        return this.#escape();
      case '[':
        return this.#set();
      case '(':
        return this.#open();
      case ')':
        this.#at++;
        this.#hasAtom = true;
        return --this.#depth < 0 ? 'has a ) without its (' : undefined;
      case '|':
        this.#at++;
        this.#hasAtom = false;
        return undefined;
      case '*':
      case '+':
      case '?':
        this.#at++;
        return this.#repeated(char);
      case '{':
        return this.#counted();
      default:
        this.#at++;
        this.#hasAtom = true;
        return undefined;
    }
  }

  #escape(): string | undefined {
    const next = this.#text[this.#at + 1];
    if (next === undefined) return 'ends with a backslash';
    if (/[1-9]/.test(next)) return 'uses a back-reference, which cannot be matched in linear time';
    if (next === 'k') return 'uses a back-reference, which cannot be matched in linear time';
    if (next === 'Q') {
      const end = this.#text.indexOf('\\E', this.#at + 2);
      this.#at = end < 0 ? this.#text.length : end + 2;
    } else if (/[pP]/.test(next)) {
      const property = /^\\[pP](?:\{\^?\w+\}|\w)/.exec(this.#text.slice(this.#at, this.#at + 40));
      if (property === null) return 'has an incomplete \\p{…}';
      this.#at += property[0].length;
    } else if (next === 'x') {
      const hex = /^\\x(?:[0-9a-fA-F]{2}|\{[0-9a-fA-F]{1,6}\})/.exec(
        this.#text.slice(this.#at, this.#at + 12),
      );
      if (hex === null) return 'has an incomplete \\x escape';
      this.#at += hex[0].length;
    } else if (/[A-Za-z]/.test(next) && !/[AbBzCdDsSwWafnrtv]/.test(next)) {
      return `has the unknown escape \\${next}`;
    } else {
      this.#at += 2;
    }
    this.#hasAtom = true;
    return undefined;
  }

  #set(): string | undefined {
    const start = this.#at;
    this.#at++;
    if (this.#text[this.#at] === '^') this.#at++;
    if (this.#text[this.#at] === ']') this.#at++;
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text[this.#at];
      if (char === '\\') this.#at++;
      else if (char === '[' && this.#text[this.#at + 1] === ':') {
        const end = this.#text.indexOf(':]', this.#at + 2);
        if (end > 0) this.#at = end + 1;
      } else if (char === ']') {
        this.#at++;
        this.#hasAtom = true;
        return this.#reversedRange(this.#text.slice(start + 1, this.#at - 1));
      }
    }
    return 'has a [ without its ]';
  }

  #reversedRange(set: string): string | undefined {
    for (const [, low, high] of set.matchAll(/(?:^|[^\\])([0-9A-Za-z])-([0-9A-Za-z])/g)) {
      if ((low ?? '') > (high ?? '')) return `has the reversed range ${low}-${high}`;
    }
    return undefined;
  }

  #open(): string | undefined {
    this.#depth++;
    if (this.#depth > 200) return 'nests groups too deeply';
    this.#hasAtom = false;
    const rest = this.#text.slice(this.#at, this.#at + 80);
    if (/^\(\?<?[=!]/.test(rest)) return 'uses look-around, which cannot be matched in linear time';
    if (rest.startsWith('(?>')) return 'uses an atomic group, which RE2 does not have';
    const group = /^\((?:\?(?:P?<\w+>|[imsU]*(?:-[imsU]+)?[:)]))?/.exec(rest);
    const opening = group?.[0] ?? '(';
    if (opening === '(' && rest[1] === '?') return 'has an unknown group (?…';
    this.#at += opening.length;
    if (opening.endsWith(')')) this.#depth--;
    return undefined;
  }

  #counted(): string | undefined {
    const count = /^\{(\d{1,9})(?:,(\d{0,9}))?\}/.exec(this.#text.slice(this.#at, this.#at + 24));
    if (count === null) {
      // RE2 reads a brace that is no count as itself.
      this.#at++;
      this.#hasAtom = true;
      return undefined;
    }
    const low = Number(count[1]);
    const high = count[2] === undefined || count[2] === '' ? low : Number(count[2]);
    if (low > maxRepeat || high > maxRepeat) return `repeats more than ${maxRepeat} times`;
    if (low > high) return `has the reversed count ${count[0]}`;
    this.#at += count[0].length;
    return this.#repeated(count[0]);
  }

  #repeated(what: string): string | undefined {
    if (!this.#hasAtom) return `has nothing before ${what} to repeat`;
    // `*?` is lazy; a second repetition of the same atom is refused by RE2.
    if (this.#text[this.#at] === '?') this.#at++;
    const next = this.#text[this.#at];
    if (next === '*' || next === '+' || next === '?')
      return `has the repetition ${what}${next}, which RE2 does not have`;
    return undefined;
  }
}
