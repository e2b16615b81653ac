/**
 * What is shown of a Secret without being asked for it: names and sizes. As with kubectl, the content itself comes
 * only with `get -o yaml` and `-o json`; describe and diff never have it.
 */
import { lastAppliedAnnotation, type KubeObject } from '@sluice/api';

const kept = '*** (unchanged)';

export function isSecret(object: KubeObject): boolean {
  return object.kind === 'Secret' && object.apiVersion === 'v1';
}

/** `tls.crt: 1164 bytes`, in place of the content. */
export function describeSecret(object: KubeObject): Record<string, unknown> {
  const sizes = Object.entries(dataOf(object)).map(([name, text]) => [
    name,
    `${Buffer.from(text, 'base64').length} bytes`,
  ]);
  return { type: object['type'] ?? 'Opaque', data: Object.fromEntries(sizes) as Record<string, string> };
}

/** Two versions of a Secret with their content replaced: equal values look equal, others differ. */
export function maskSecrets(
  before: KubeObject | null,
  after: KubeObject,
): { before: KubeObject | null; after: KubeObject } {
  if (!isSecret(after)) return { before, after };
  const old = before === null ? {} : dataOf(before);
  const fresh = dataOf(after);
  const mask = (object: KubeObject, other: Record<string, string>, word: string): KubeObject => {
    const own = dataOf(object);
    const data = Object.fromEntries(
      Object.keys(own).map((name) => [name, own[name] === other[name] ? kept : `*** (${word})`]),
    );
    const { stringData: _text, ...rest } = object;
    return { ...rest, data, metadata: withoutLastApplied(object.metadata) } as KubeObject;
  };
  return {
    before: before === null ? null : mask(before, fresh, 'before'),
    after: mask(after, old, 'after'),
  };
}

function withoutLastApplied(metadata: KubeObject['metadata']): KubeObject['metadata'] {
  const { [lastAppliedAnnotation]: _applied, ...annotations } = metadata.annotations ?? {};
  return { ...metadata, annotations };
}

function dataOf(object: KubeObject): Record<string, string> {
  const data = object['data'];
  return typeof data === 'object' && data !== null ? (data as Record<string, string>) : {};
}
