/** HTML as a template tag: every value is escaped unless it is itself made by the tag. */

export interface Html {
  readonly html: string;
}

type Part = Html | string | number | null | readonly Part[];

/** `` html`<td>${text}</td>` ``: texts are escaped, lists are joined, null is nothing. */
export function html(strings: TemplateStringsArray, ...values: readonly Part[]): Html {
  let text = strings[0] ?? '';
  for (const [index, value] of values.entries()) text += render(value) + (strings[index + 1] ?? '');
  return { html: text };
}

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => escapes[char] ?? char);
}

/** A link only where the address is plainly one of ours: peers' texts never become `javascript:` links. */
export function link(address: string, text: string): Html {
  return /^https?:\/\/[\w.[\]:-]+(?:\/[\w./?=&%-]*)?$/.test(address)
    ? html`<a href="${address}" rel="noreferrer">${text}</a>`
    : html`${text}`;
}

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function render(value: Part): string {
  if (value === null) return '';
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return escapeHtml(value);
  return isList(value) ? value.map(render).join('') : value.html;
}

function isList(value: Html | readonly Part[]): value is readonly Part[] {
  return Array.isArray(value);
}
