/** When a book would arrive. */
import { instance, serve } from './service.ts';

serve('shipping', ({ url }) =>
  Promise.resolve({
    body: { instance, language: 'TypeScript', id: url.pathname.replace(/^\/shipping\//, ''), days: 2 },
  }),
);
