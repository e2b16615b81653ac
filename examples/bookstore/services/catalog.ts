/** Books, each with what is in stock (asks inventory). */
import { books } from './data.ts';
import { call, instance, serve } from './service.ts';

interface Stock {
  readonly left: number;
  readonly instance: string;
}

serve('catalog', async ({ url, passedOn }) => {
  const wanted = books.find(({ id }) => url.pathname === `/books/${id}`);
  if (url.pathname === '/books') return { body: { instance, language: 'TypeScript', books } };
  if (wanted === undefined) return { status: 404, body: { error: 'no such book' } };
  const stock = await call<Stock>('inventory', `/stock/${wanted.id}`, passedOn);
  return {
    body: {
      instance,
      language: 'TypeScript',
      ...wanted,
      left: stock.body?.left ?? null,
      inventory: stock.body?.instance ?? stock.reason,
    },
  };
});
