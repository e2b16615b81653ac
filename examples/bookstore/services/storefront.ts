/**
 * The page people look at. `/` is HTML, `/api/books/ID` the same facts as JSON: what was answered, by which
 * instance of which version, how long it took, and what could not be had.
 */
import { renderFront, type FrontFacts } from './front-page.ts';
import { call, instance, serve, type Outcome } from './service.ts';

export interface BookFacts {
  readonly title: string;
  readonly author: string;
  readonly year: number;
  readonly priceCents: number;
  readonly left: number | null;
  readonly inventory: string;
  readonly instance: string;
  readonly language: string;
}

export interface ReviewFacts {
  readonly instance: string;
  readonly version: string;
  readonly colour?: string;
  readonly ratings?: string;
  readonly reviews: readonly {
    readonly reader: string;
    readonly text: string;
    readonly stars?: number | null;
  }[];
}

export interface ShippingFacts {
  readonly instance: string;
  readonly days: number;
  readonly language: string;
}

const defaultBook = 'moby-dick';

serve('storefront', async ({ url, passedOn }) => {
  const isApi = url.pathname.startsWith('/api/books/');
  if (!isApi && url.pathname !== '/') return { status: 404, body: { error: 'there is / and /api/books/ID' } };
  const id = isApi ? url.pathname.slice('/api/books/'.length) : (url.searchParams.get('book') ?? defaultBook);
  const path = encodeURIComponent(id);
  const [book, reviews, shipping] = await Promise.all([
    call<BookFacts>('catalog', `/books/${path}`, passedOn),
    call<ReviewFacts>('reviews', `/reviews/${path}`, passedOn),
    call<ShippingFacts>('shipping', `/shipping/${path}`, passedOn),
  ]);
  const facts: FrontFacts = {
    id,
    storefront: instance,
    user: passedOn['end-user'] ?? '',
    book,
    reviews,
    shipping,
  };
  if (isApi) return { status: apiStatus(book), body: facts };
  return new Response(renderFront(facts), {
    headers: { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' },
  });
});

/** Without the book there is nothing to show; everything else may be missing. */
function apiStatus(book: Outcome<BookFacts>): number {
  if (book.body !== null) return 200;
  return book.status === 404 ? 404 : 502;
}
