/** The shop's books; in a shop this would be a database. */

export interface Book {
  readonly id: string;
  readonly title: string;
  readonly author: string;
  readonly year: number;
  readonly priceCents: number;
}

export const books: readonly Book[] = [
  { id: 'moby-dick', title: 'Moby-Dick', author: 'Herman Melville', year: 1851, priceCents: 1890 },
  { id: 'middlemarch', title: 'Middlemarch', author: 'George Eliot', year: 1871, priceCents: 2150 },
  { id: 'dracula', title: 'Dracula', author: 'Bram Stoker', year: 1897, priceCents: 1450 },
];
