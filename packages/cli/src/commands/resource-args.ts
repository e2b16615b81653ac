/** `vs`, `vs reviews`, `vs/reviews dr/reviews`, `vs,dr`, `all`: which resources the words of a command mean. */
import { findKindsByName, honouredKinds, suggestKindName, type KindInfo } from '@sluice/api';
import type { ParsedArgs } from '../args/parse.ts';
import { cliError } from '../errors.ts';

export interface ResourceRef {
  readonly kind: KindInfo;
  /** Undefined for all of the kind. */
  readonly name: string | undefined;
}

/** Kinds that people write by hand: what `all` means. */
const writtenKinds = [
  'Service',
  'VirtualService',
  'DestinationRule',
  'ServiceEntry',
  'Gateway',
  'Sidecar',
  'HTTPRoute',
  'WorkloadEntry',
];

/** Throws `usage` for an unknown kind, or when the words do not fit together. */
export function readResourceRefs(words: readonly string[]): readonly ResourceRef[] {
  const [first, ...names] = words;
  if (first === undefined) throw cliError('usage', 'say which kind: for example "vs", "dr", "svc", or "all"');
  if (words.every((word) => word.includes('/'))) return words.map(readPair);
  if (first.includes('/')) throw cliError('usage', `"${first}" is KIND/NAME: then every argument must be`);
  const kinds = first
    .split(',')
    .filter((word) => word !== '')
    .flatMap(readKindWord);
  if (names.length === 0) return kinds.map((kind) => ({ kind, name: undefined }));
  return names.flatMap((name) => kinds.map((kind) => ({ kind, name })));
}

export function readKind(word: string): KindInfo {
  const [kind] = findKindsByName(word);
  if (kind === undefined) {
    const nearest = suggestKindName(word);
    throw cliError(
      'usage',
      `there is no kind "${word}": ${nearest === undefined ? `there are ${knownKinds()}` : `did you mean ${nearest}?`}`,
    );
  }
  if (kind.support === 'later') throw cliError('usage', `${kind.kind} is not supported yet`);
  if (kind.support === 'skipped')
    throw cliError('usage', `${kind.kind} is a kind of clusters, for which a mesh has no use`);
  return kind;
}

/** The namespace a command works in; undefined for all. */
export function readNamespace(args: ParsedArgs): string | undefined {
  return args.has('all-namespaces') ? undefined : (args.text('namespace') ?? 'default');
}

function readKindWord(word: string): readonly KindInfo[] {
  return word === 'all' ? honouredKinds.filter(({ kind }) => writtenKinds.includes(kind)) : [readKind(word)];
}

function readPair(word: string): ResourceRef {
  const slash = word.indexOf('/');
  const name = word.slice(slash + 1);
  if (name === '') throw cliError('usage', `"${word}" lacks a name after the slash`);
  return { kind: readKind(word.slice(0, slash)), name };
}

function knownKinds(): string {
  // Two groups have gateways.
  return [...new Set(honouredKinds.map(({ plural }) => plural))].join(', ');
}
