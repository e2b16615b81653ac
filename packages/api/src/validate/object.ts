/**
 * Whether an object may be used: known kind, right shape, fields that are honoured, values that make sense by
 * themselves. All problems at once. What depends on other objects is analysis, not validation (analyze/).
 */
import { nearestName } from '@sluice/runtime';
import { findKind, servesVersion, suggestKind } from '../kind-lookup.ts';
import { kinds, type KindInfo } from '../kinds.ts';
import { groupOf, keyOf, type KubeObject, type Origin } from '../object.ts';
import { measure, PatchError, type Json } from '../patch/json.ts';
import type { Locate } from '../position.ts';
import { hasErrors, type Problem } from '../problem.ts';
import { objectSchema } from '../schema/registry.ts';
import { checkContent } from './content.ts';
import { Findings } from './findings.ts';
import { checkMetadata } from './metadata.ts';
import { checkSchema } from './schema-problems.ts';
import { checkSupport } from './support.ts';

export interface Validated {
  readonly problems: readonly Problem[];
  /**
   * The object without members that hold nothing; set whenever it has a kind, a version and metadata, even when
   * problems forbid its use. Defaults are not in it (defaults/).
   */
  readonly value: KubeObject | undefined;
  readonly kind: KindInfo | undefined;
  /** No errors, and a kind that is honoured: the object may be used as its type says. */
  readonly isUsable: boolean;
  /** A cluster kind that the mesh leaves alone. */
  readonly isSkipped: boolean;
}

/** Validates parsed YAML or JSON; never throws on any value. */
export function validateObject(object: unknown, locate?: Locate, origin?: Origin): Validated {
  const file = origin?.source === 'folder' ? origin.file : undefined;
  const findings = new Findings({ locate, file });
  const refused = { value: undefined, kind: undefined, isUsable: false, isSkipped: false };
  if (!isMapping(object)) {
    findings.add('wrong-type', [], 'must be an object');
    return { ...refused, problems: findings.problems };
  }
  const excess = sizeProblem(object);
  if (excess !== undefined) {
    findings.add('too-large', [], excess);
    return { ...refused, problems: findings.problems };
  }
  const value = withoutNulls(object) as Record<string, unknown>;
  const kind = identify(value, findings);
  if (kind === undefined) return { ...refused, problems: findings.problems };
  const asObject = isMapping(value['metadata']) ? (value as unknown as KubeObject) : undefined;
  if (kind.support !== 'honoured') {
    reportUnhonoured(kind, findings);
    return {
      ...refused,
      problems: findings.problems,
      value: asObject,
      kind,
      isSkipped: kind.support === 'skipped',
    };
  }
  const problems = validateKnown(value, kind, { locate, file });
  return { problems, value: asObject, kind, isUsable: !hasErrors(problems), isSkipped: false };
}

function validateKnown(
  value: Record<string, unknown>,
  kind: KindInfo,
  source: { locate: Locate | undefined; file: string | undefined },
): readonly Problem[] {
  const metadata = value['metadata'];
  const isNamed = isMapping(metadata) && typeof metadata['name'] === 'string';
  const findings = new Findings({
    ...source,
    ...(isNamed ? { key: keyOf(value as unknown as KubeObject) } : {}),
  });
  const schema = objectSchema(kind.group, kind.kind);
  if (schema === undefined) return findings.problems;
  checkSchema(schema, value, findings);
  if (isMapping(metadata)) checkMetadata(metadata, kind, findings);
  checkSupport(`${kind.group}/${kind.kind}`, schema, value, findings);
  checkContent({ metadata: {}, ...findings.withoutBroken(value) } as unknown as KubeObject, findings);
  return findings.problems;
}

/** The kind an object says it is, or a problem that names the one it probably meant. */
function identify(value: Record<string, unknown>, findings: Findings): KindInfo | undefined {
  const { apiVersion, kind } = value;
  for (const [field, text] of [
    ['apiVersion', apiVersion],
    ['kind', kind],
  ] as const) {
    if (typeof text === 'string' && text !== '') continue;
    const nearest = nearestName(field, Object.keys(value));
    const suggestion = nearest === undefined ? {} : { suggestion: `did you mean ${field} by ${nearest}?` };
    if (text === undefined) findings.add('required', [field], 'is required', suggestion);
    else findings.add('wrong-type', [field], 'must be a string that is not empty');
  }
  if (typeof apiVersion !== 'string' || typeof kind !== 'string' || apiVersion === '' || kind === '')
    return undefined;
  const info = findKind(groupOf(apiVersion), kind);
  if (info === undefined) {
    reportUnknownKind(apiVersion, kind, findings);
    return undefined;
  }
  if (info.support === 'honoured' && !servesVersion(info, apiVersion)) {
    const known = info.versions.map((version) => (info.group === '' ? version : `${info.group}/${version}`));
    findings.add('unknown-version', ['apiVersion'], `${kind} has no version ${apiVersion}`, {
      suggestion: `use ${known.join(' or ')}`,
    });
    return undefined;
  }
  return info;
}

function reportUnknownKind(apiVersion: string, kind: string, findings: Findings): void {
  const elsewhere = kinds.find((info) => info.kind === kind);
  if (elsewhere !== undefined) {
    const version = elsewhere.group === '' ? elsewhere.version : `${elsewhere.group}/${elsewhere.version}`;
    findings.add(
      'unknown-kind',
      ['apiVersion'],
      `there is no ${kind} in ${groupOf(apiVersion) || 'the core group'}`,
      {
        suggestion: `did you mean ${version}?`,
      },
    );
    return;
  }
  const nearest = suggestKind(kind);
  findings.add(
    'unknown-kind',
    ['kind'],
    `the kind ${kind} (${apiVersion}) is not known`,
    nearest === undefined ? {} : { suggestion: `did you mean ${nearest}?` },
  );
}

function reportUnhonoured(kind: KindInfo, findings: Findings): void {
  if (kind.support === 'later') {
    findings.add('not-supported-yet', ['kind'], `${kind.kind} is not supported yet`);
  } else {
    findings.add('skipped-kind', ['kind'], `${kind.kind} is left alone: the mesh has no use for it`, {
      severity: 'notice',
    });
  }
}

function sizeProblem(value: Record<string, unknown>): string | undefined {
  try {
    measure(value as Json);
    return undefined;
  } catch (error) {
    if (error instanceof PatchError) return `the object is refused: ${error.message}`;
    throw error;
  }
}

/** A copy without members that are null: in Kubernetes a member that is null is a member that is not there. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (!isMapping(value)) return value;
  const result: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    if (member !== null && member !== undefined) result[key] = withoutNulls(member);
  }
  return result;
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
