/**
 * JSON text by the runtime's own parser, which is free, where that means the same as our YAML parser would
 * say: `JSON.parse` takes the last of repeated keys in silence, so such text is left to the strict one.
 */
import type { JsonValue } from '@sluice/xds';

/** Null when the text is not JSON, or needs a judge that can name a place. */
export function parsePlainJson(text: string): JsonValue | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Most likely YAML; the other parser tells, with line and column, when it is neither.
    return null;
  }
  return hasDoubtfulKeys(text) ? null : (value as JsonValue);
}

const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;
const openBrace = 0x7b;
const closeBrace = 0x7d;

/** True for repeated keys, keys written with escapes and `__proto__`. The text is known to be JSON. */
function hasDoubtfulKeys(text: string): boolean {
  const objects: Set<string>[] = [];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === openBrace) objects.push(new Set());
    else if (code === closeBrace) objects.pop();
    if (code !== quote) continue;
    const start = at + 1;
    let isEscaped = false;
    for (at = start; text.charCodeAt(at) !== quote; at++) {
      if (text.charCodeAt(at) !== backslash) continue;
      isEscaped = true;
      at++;
    }
    if (!isKey(text, at + 1)) continue;
    const key = text.slice(start, at);
    const keys = objects.at(-1);
    if (isEscaped || key === '__proto__' || keys === undefined || keys.has(key)) return true;
    keys.add(key);
  }
  return false;
}

/** A string before a colon is a key. */
function isKey(text: string, from: number): boolean {
  let at = from;
  while (isSpace(text.charCodeAt(at))) at++;
  return text.charCodeAt(at) === colon;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
