/**
 * Takes secrets out of what leaves the machine in a bug report: values known to be secret wherever they stand, and
 * whatever looks like one by its name or form. Rather too much than too little.
 */

const removed = '[removed]';
/** Names of fields, variables and headers whose values are secret. */
const secretName =
  /(?:token|secret|passw(?:or)?d|passphrase|authorization|cookie|credential|api[-_]?key|private[-_]?key|client[-_]?key)/i;
/** A flag of a command line; its value is the next word, or follows `=`. */
const flag = /^--?[a-z][\w-]*$/i;
/** Shorter than this a known value would hit innocent text. */
const minSecretLength = 8;

/** `known` are secrets as they are: tokens of files. */
export function redactText(text: string, known: readonly string[]): string {
  let clean = text;
  for (const secret of known) if (secret.length >= minSecretLength) clean = clean.replaceAll(secret, removed);
  return clean
    .replaceAll(/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, removed)
    .replaceAll(/\bsluice-join\.v1\.[\w-]+/g, removed)
    .replaceAll(/\b(Bearer|Basic)\s+[\w.~+/=-]+/gi, `$1 ${removed}`)
    .replaceAll(/([?&](?:login|token|access_token|api_key|password|secret)=)[^&\s"'<>]+/gi, `$1${removed}`)
    .replaceAll(/(\w+:\/\/[^\s:/@]+:)[^\s@/]+@/g, `$1${removed}@`)
    .replaceAll(
      /(?<=^|\s)(--?[a-z][\w-]*)(\s+|=)("[^"\n]*"|'[^'\n]*'|[^\s"'-][^\s"']*)/gim,
      (whole, name: string, between: string) =>
        secretName.test(name) ? `${name}${between}${removed}` : whole,
    )
    .replaceAll(/\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*/g, removed)
    .replaceAll(
      /^(\s*["']?([\w.-]+)["']?\s*[:=]\s*)(?!\s*[[{])("[^"\n]*"|'[^'\n]*'|[^\s,}\n]+)/gm,
      (whole, head: string, name: string) => (secretName.test(name) ? `${head}${removed}` : whole),
    );
}

/** A copy of JSON data without secrets. */
export function redactJson(value: unknown, known: readonly string[]): unknown {
  if (typeof value === 'string') return redactText(value, known);
  if (Array.isArray(value)) {
    return value.map((item, index) =>
      typeof item === 'string' && isSecretFlag(value[index - 1]) ? removed : redactJson(item, known),
    );
  }
  if (typeof value !== 'object' || value === null) return value;
  const isSecretObject = (value as { kind?: unknown }).kind === 'Secret';
  const entries = Object.entries(value);
  // `{key: 'authorization', value: '…'}`, as headers and variables are listed.
  const named = entries.find(([name]) => name === 'key' || name === 'name')?.[1];
  const isNamedSecret = typeof named === 'string' && secretName.test(named);
  return Object.fromEntries(
    entries.map(([name, item]) => {
      const isSecret =
        (secretName.test(name) && typeof item !== 'object') ||
        (isSecretObject && (name === 'data' || name === 'stringData')) ||
        (isNamedSecret && name === 'value');
      return [name, isSecret ? removed : redactJson(item, known)];
    }),
  );
}

/** Of a command line word by word. */
function isSecretFlag(word: unknown): boolean {
  return typeof word === 'string' && flag.test(word) && secretName.test(word);
}
