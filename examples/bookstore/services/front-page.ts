/** The storefront's page: the book, its reviews, and a strip that shows which instances answered. */
import { books } from './data.ts';
import type { Outcome } from './service.ts';
import type { BookFacts, ReviewFacts, ShippingFacts } from './storefront.ts';

export interface FrontFacts {
  readonly id: string;
  readonly storefront: string;
  readonly user: string;
  readonly book: Outcome<BookFacts>;
  readonly reviews: Outcome<ReviewFacts>;
  readonly shipping: Outcome<ShippingFacts>;
}

const style = `
  :root { color-scheme: light dark; --ink: #1d2430; --paper: #faf8f4; --line: #dcd6ca; --quiet: #6d6a63; --card: #fff; }
  @media (prefers-color-scheme: dark) { :root { --ink: #e9e6df; --paper: #16181c; --line: #34383f; --quiet: #9a978f; --card: #1e2127; } }
  * { box-sizing: border-box; }
  body { margin: 0; font: 17px/1.55 Georgia, 'Times New Roman', serif; color: var(--ink); background: var(--paper); }
  main { max-width: 46rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
  header { display: flex; justify-content: space-between; align-items: baseline; border-bottom: 1px solid var(--line); padding-bottom: .6rem; }
  header a { color: inherit; text-decoration: none; font-variant: small-caps; letter-spacing: .06em; }
  nav a { margin-left: 1.1rem; font-size: .9rem; color: var(--quiet); }
  nav a[aria-current] { color: var(--ink); border-bottom: 2px solid; }
  h1 { font-size: 2.4rem; line-height: 1.15; margin: 2rem 0 .2rem; font-weight: 500; }
  .quiet { color: var(--quiet); }
  .offer { display: flex; gap: 2rem; margin: 1.4rem 0 2rem; flex-wrap: wrap; }
  .offer b { display: block; font-size: 1.35rem; font-weight: 500; color: var(--ink); }
  blockquote { margin: 0 0 1rem; padding: .9rem 1.1rem; background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }
  .stars { letter-spacing: .12em; } .stars.red { color: #c8442f; } .stars.black { color: inherit; }
  .hops { display: grid; grid-template-columns: repeat(auto-fit, minmax(12rem, 1fr)); gap: .7rem; margin-top: 2.6rem; font: 13px/1.45 ui-monospace, Menlo, Consolas, monospace; }
  .hop { background: var(--card); border: 1px solid var(--line); border-left: 4px solid #3f8f6b; border-radius: .4rem; padding: .6rem .8rem; overflow-wrap: anywhere; }
  .hop.v2 { border-left-color: #3a6ea8; } .hop.v3 { border-left-color: #c8442f; } .hop.missing { border-left-color: #d39b1e; }
  .hop b { display: block; font-size: 14px; }
`;

export function renderFront(facts: FrontFacts): string {
  const { book } = facts;
  const title = book.body?.title ?? 'The catalogue is away';
  return `<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>${escape(title)} · Bookstore</title>
  <style>${style}</style>
</head>
<body><main>
  <header><a href="/">The Bookstore</a><nav>${books.map((one) => navigation(one.id, one.title, facts.id)).join('')}</nav></header>
  <h1>${escape(title)}</h1>
  ${book.body === null ? missing('catalog', book) : `<p class="quiet">${escape(book.body.author)}, ${book.body.year}</p>${offer(facts, book.body)}`}
  ${reviewList(facts.reviews)}
  <section class="hops">${hops(facts).join('')}</section>
</main></body>
</html>
`;
}

function navigation(id: string, title: string, current: string): string {
  return `<a href="/?book=${encodeURIComponent(id)}"${id === current ? ' aria-current="page"' : ''}>${escape(title)}</a>`;
}

function offer({ shipping }: FrontFacts, book: BookFacts): string {
  const days = shipping.body === null ? 'not known' : `${shipping.body.days} days`;
  return `<div class="offer">
    <span class="quiet">Price <b>€ ${(book.priceCents / 100).toFixed(2)}</b></span>
    <span class="quiet">In stock <b>${book.left ?? 'not known'}</b></span>
    <span class="quiet">Arrives in <b>${escape(days)}</b></span>
  </div>`;
}

function reviewList(reviews: Outcome<ReviewFacts>): string {
  if (reviews.body === null) return missing('reviews', reviews);
  const { colour = 'none' } = reviews.body;
  return reviews.body.reviews
    .map(({ reader, text, stars }) => {
      const shown =
        typeof stars === 'number'
          ? `<span class="stars ${escape(colour)}">${'★'.repeat(stars)}${'☆'.repeat(5 - stars)}</span> `
          : '';
      return `<blockquote>${shown}${escape(text)} <span class="quiet">— ${escape(reader)}</span></blockquote>`;
    })
    .join('');
}

function missing(what: string, outcome: Outcome<unknown>): string {
  return `<blockquote>No ${what} at the moment <span class="quiet">(${outcome.status}: ${escape(outcome.reason)})</span></blockquote>`;
}

function hops({ storefront, user, book, reviews, shipping }: FrontFacts): string[] {
  const version = reviews.body?.version ?? 'missing';
  return [
    hop('storefront', storefront, user === '' ? 'nobody is logged in' : `user ${user}`),
    hop(
      'catalog',
      book.body?.instance ?? book.reason,
      `${took(book)}${book.body === null ? '' : ` · ${book.body.language}`}`,
      book.body === null ? 'missing' : '',
    ),
    ...(book.body === null ? [] : [hop('catalog → inventory', book.body.inventory, 'second hop')]),
    hop(
      'reviews',
      reviews.body === null ? reviews.reason : `${reviews.body.instance} (${version})`,
      took(reviews),
      version,
    ),
    ...(reviews.body?.ratings === undefined
      ? []
      : [hop('reviews → ratings', reviews.body.ratings, 'second hop', version)]),
    hop(
      'shipping',
      shipping.body?.instance ?? shipping.reason,
      `${took(shipping)}${shipping.body === null ? '' : ` · ${shipping.body.language}`}`,
      shipping.body === null ? 'missing' : '',
    ),
  ];
}

function took({ tookMs }: Outcome<unknown>): string {
  return `${tookMs} ms`;
}

function hop(name: string, who: string, detail: string, kind = ''): string {
  return `<div class="hop ${escape(kind)}"><b>${escape(name)}</b>${escape(who)}<br><span class="quiet">${escape(detail)}</span></div>`;
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
