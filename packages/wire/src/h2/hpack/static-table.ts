/** The static table (RFC 7541 Appendix A), its names interned, its octets in one buffer that never changes. */
import { latin1Bytes } from '../../headers/bytes.ts';
import { internName, type NameId } from '../../headers/names.ts';
import { fieldClassOf } from './field-class.ts';

export const STATIC_COUNT = 61;

const entries: readonly (readonly [string, string])[] = [
  [':authority', ''],
  [':method', 'GET'],
  [':method', 'POST'],
  [':path', '/'],
  [':path', '/index.html'],
  [':scheme', 'http'],
  [':scheme', 'https'],
  [':status', '200'],
  [':status', '204'],
  [':status', '206'],
  [':status', '304'],
  [':status', '400'],
  [':status', '404'],
  [':status', '500'],
  ['accept-charset', ''],
  ['accept-encoding', 'gzip, deflate'],
  ['accept-language', ''],
  ['accept-ranges', ''],
  ['accept', ''],
  ['access-control-allow-origin', ''],
  ['age', ''],
  ['allow', ''],
  ['authorization', ''],
  ['cache-control', ''],
  ['content-disposition', ''],
  ['content-encoding', ''],
  ['content-language', ''],
  ['content-length', ''],
  ['content-location', ''],
  ['content-range', ''],
  ['content-type', ''],
  ['cookie', ''],
  ['date', ''],
  ['etag', ''],
  ['expect', ''],
  ['expires', ''],
  ['from', ''],
  ['host', ''],
  ['if-match', ''],
  ['if-modified-since', ''],
  ['if-none-match', ''],
  ['if-range', ''],
  ['if-unmodified-since', ''],
  ['last-modified', ''],
  ['link', ''],
  ['location', ''],
  ['max-forwards', ''],
  ['proxy-authenticate', ''],
  ['proxy-authorization', ''],
  ['range', ''],
  ['referer', ''],
  ['refresh', ''],
  ['retry-after', ''],
  ['server', ''],
  ['set-cookie', ''],
  ['strict-transport-security', ''],
  ['transfer-encoding', ''],
  ['user-agent', ''],
  ['vary', ''],
  ['via', ''],
  ['www-authenticate', ''],
];

/** Index of the first static entry with this name. */
export const StaticIndex = {
  authority: 1,
  methodGet: 2,
  methodPost: 3,
  pathRoot: 4,
  schemeHttp: 6,
  schemeHttps: 7,
  status200: 8,
} as const;

/** All names and values, one after the other. */
export const staticBytes: Uint8Array = latin1Bytes(entries.map(([name, value]) => name + value).join(''));
/** By index 1..61. */
export const staticNameStart = new Int32Array(STATIC_COUNT + 1);
export const staticNameEnd = new Int32Array(STATIC_COUNT + 1);
export const staticValueEnd = new Int32Array(STATIC_COUNT + 1);
export const staticNameId = new Int32Array(STATIC_COUNT + 1);
export const staticClass = new Uint8Array(STATIC_COUNT + 1);
/** :status of entries 8 to 14, 0 of others. */
export const staticStatus = new Uint16Array(STATIC_COUNT + 1);

const indexById = new Map<NameId, number>();
let indexByLowId = new Uint8Array(0);

fill();

/** Index of the first static entry of this regular name; 0 if there is none. */
export function staticIndexOf(id: NameId): number {
  return id < indexByLowId.length ? indexByLowId[id]! : 0;
}

function fill(): void {
  let at = 0;
  let index = 1;
  let highest = 0;
  for (const [name, value] of entries) {
    staticNameStart[index] = at;
    staticNameEnd[index] = at + name.length;
    staticValueEnd[index] = at + name.length + value.length;
    at += name.length + value.length;
    staticClass[index] = fieldClassOf(staticBytes, staticNameStart[index]!, staticNameEnd[index]!);
    if (name === ':status') staticStatus[index] = Number(value);
    if (!name.startsWith(':')) {
      const id = internName(name);
      staticNameId[index] = id;
      if (!indexById.has(id)) indexById.set(id, index);
      highest = Math.max(highest, id);
    }
    index++;
  }
  indexByLowId = new Uint8Array(highest + 1);
  for (const [id, first] of indexById) indexByLowId[id] = first;
}
