/** How many copies are left. */
import { instance, serve } from './service.ts';

const left: Readonly<Record<string, number>> = { 'moby-dick': 12, middlemarch: 3, dracula: 27 };

serve('inventory', ({ url }) => {
  const id = url.pathname.replace(/^\/stock\//, '');
  const count = left[id];
  if (count === undefined) return Promise.resolve({ status: 404, body: { error: 'no such book' } });
  return Promise.resolve({ body: { instance, id, left: count } });
});
