/**
 * Command-line words → flags and arguments, as kubectl's users type them: `-n ns`, `-nns`, `--namespace=ns`, `-Aw`,
 * `-f -`, flags before and after arguments, `--` ends flags. Written here rather than taken from a library because
 * those that were tried have no clustered switches and no values glued to a short flag.
 */
import { nearestName } from '@sluice/runtime';
import { cliError } from '../errors.ts';

export interface FlagSpec {
  /** Long name, without dashes. */
  readonly name: string;
  readonly short?: string;
  /** switch: no value. text: the last one counts, twice is an error. list: repeatable, commas separate. */
  readonly type: 'switch' | 'text' | 'list';
  /** Word for the value in help. */
  readonly value?: string;
  readonly about: string;
  readonly choices?: readonly string[];
}

export interface ParsedArgs {
  readonly positional: readonly string[];
  /** After `--`. */
  readonly rest: readonly string[];
  has(flag: string): boolean;
  /** Value of a text flag. */
  text(flag: string): string | undefined;
  /** Values of a list flag, empty when absent. */
  list(flag: string): readonly string[];
}

type Values = Map<string, string[]>;

/** Throws `usage` for what is not understood, with the nearest flag named. */
export function parseArgs(words: readonly string[], specs: readonly FlagSpec[]): ParsedArgs {
  const values: Values = new Map();
  const positional: string[] = [];
  let rest: readonly string[] = [];
  const reader = new WordReader(words);
  for (let word = reader.next(); word !== undefined; word = reader.next()) {
    if (word === '--') {
      rest = reader.remaining();
      break;
    }
    if (word.startsWith('--')) readLong(word, specs, reader, values);
    else if (word.startsWith('-') && word !== '-') readShort(word, specs, reader, values);
    else positional.push(word);
  }
  return {
    positional,
    rest,
    has: (flag) => values.has(flag),
    text: (flag) => values.get(flag)?.at(-1),
    list: (flag) => (values.get(flag) ?? []).flatMap((text) => text.split(',')).filter((text) => text !== ''),
  };
}

class WordReader {
  readonly #words: readonly string[];
  #at = 0;

  constructor(words: readonly string[]) {
    this.#words = words;
  }

  next(): string | undefined {
    return this.#words[this.#at++];
  }

  remaining(): readonly string[] {
    const rest = this.#words.slice(this.#at);
    this.#at = this.#words.length;
    return rest;
  }
}

function readLong(word: string, specs: readonly FlagSpec[], reader: WordReader, values: Values): void {
  const equals = word.indexOf('=');
  const name = word.slice(2, equals < 0 ? undefined : equals);
  const spec = specs.find((one) => one.name === name);
  if (spec === undefined) throw unknownFlag(`--${name}`, specs);
  const given = equals < 0 ? undefined : word.slice(equals + 1);
  if (spec.type === 'switch') {
    if (given === undefined || given === 'true') take(spec, 'true', values);
    else if (given !== 'false')
      throw cliError('usage', `--${name} is a switch: it takes true or false, not "${given}"`);
    return;
  }
  take(spec, given ?? reader.next(), values);
}

function readShort(word: string, specs: readonly FlagSpec[], reader: WordReader, values: Values): void {
  for (let at = 1; at < word.length; at++) {
    const letter = word[at] ?? '';
    const spec = specs.find((one) => one.short === letter);
    if (spec === undefined) throw unknownFlag(word.length === 2 ? word : `-${letter} (in ${word})`, specs);
    if (spec.type === 'switch') {
      take(spec, 'true', values);
      continue;
    }
    const glued = word.slice(at + 1).replace(/^=/, '');
    take(spec, glued === '' ? reader.next() : glued, values);
    return;
  }
}

function take(spec: FlagSpec, value: string | undefined, values: Values): void {
  const name = `--${spec.name}`;
  if (value === undefined) throw cliError('usage', `${name} needs a value: ${name} ${spec.value ?? 'VALUE'}`);
  if (spec.choices !== undefined && !spec.choices.includes(value)) {
    const nearest = nearestName(value, spec.choices);
    const hint = nearest === undefined ? `use ${spec.choices.join(', ')}` : `did you mean ${nearest}?`;
    throw cliError('usage', `${name} does not know "${value}": ${hint}`);
  }
  const present = values.get(spec.name);
  if (spec.type === 'text' && present !== undefined && present[0] !== value) {
    throw cliError(
      'usage',
      `${name} is given twice, as "${present[0] ?? ''}" and as "${value}": leave one out`,
    );
  }
  values.set(spec.name, [...(present ?? []), value]);
}

function unknownFlag(given: string, specs: readonly FlagSpec[]): Error {
  const nearest = nearestName(
    given,
    specs.map((spec) => `--${spec.name}`),
  );
  const hint = nearest === undefined ? 'see --help' : `did you mean ${nearest}?`;
  return cliError('usage', `${given} is not a flag of this command: ${hint}`);
}
