/** What readers say. v1 has no stars; v2 and v3 ask ratings for them, and show them black and red. */
import { call, instance, serve, version } from './service.ts';

interface Ratings {
  readonly stars: readonly number[];
  readonly instance: string;
}

const texts: readonly { readonly reader: string; readonly text: string }[] = [
  { reader: 'Ada', text: 'Longer than it had to be, and I would not miss a page of it.' },
  { reader: 'Ishmael', text: 'I stay out of the water now.' },
];
const colours: Readonly<Record<string, string>> = { v2: 'black', v3: 'red' };

serve('reviews', async ({ url, passedOn }) => {
  const id = url.pathname.replace(/^\/reviews\//, '');
  const colour = colours[version];
  if (colour === undefined) return { body: { instance, version, reviews: texts } };
  const ratings = await call<Ratings>('ratings', `/ratings/${id}`, passedOn);
  const reviews = texts.map((review, index) => ({ ...review, stars: ratings.body?.stars[index] ?? null }));
  return {
    body: {
      instance,
      version,
      colour,
      ratings: ratings.body?.instance ?? `unavailable: ${ratings.reason}`,
      reviews,
    },
  };
});
