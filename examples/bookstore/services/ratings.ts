/** Stars that readers gave. */
import { instance, serve } from './service.ts';

serve('ratings', ({ url }) =>
  Promise.resolve({
    body: { instance, language: 'TypeScript', id: url.pathname.replace(/^\/ratings\//, ''), stars: [5, 4] },
  }),
);
