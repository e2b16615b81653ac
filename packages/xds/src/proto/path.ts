/**
 * The place in a message where a decoder stands, kept as a stack and turned into text only when something
 * is to be said about it.
 */

/** A field name, a list index, or a map key written `["key"]`. */
export type PathSegment = string | number;

export function keySegment(key: string): string {
  return `[${JSON.stringify(key.length > maxShownKey ? `${key.slice(0, maxShownKey)}…` : key)}]`;
}

/** `virtual_hosts[2].typed_per_filter_config["envoy.filters.http.cors"].allow_methods` */
export function formatPath(segments: readonly PathSegment[], last?: string): string {
  let text = '';
  for (const segment of segments) text = append(text, segment);
  return last === undefined ? text : append(text, last);
}

function append(text: string, segment: PathSegment): string {
  if (typeof segment === 'number') return `${text}[${segment}]`;
  if (text === '' || segment.startsWith('[')) return text + segment;
  return `${text}.${segment}`;
}

/** Keys come from peers: a path stays readable whatever they send. */
const maxShownKey = 100;
