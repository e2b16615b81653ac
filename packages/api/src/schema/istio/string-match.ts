/** Istio's way to match a text: exact, prefix or RE2 regular expression (full match). */
import { z } from 'zod';
import { optional } from '../field.ts';
import { text } from '../primitives.ts';

export const stringMatch = z.strictObject({
  exact: optional(text, 'The whole text, case-sensitive'),
  prefix: optional(text, 'Beginning of the text'),
  regex: optional(text, 'RE2 regular expression that the whole text must match'),
});
export type StringMatch = z.infer<typeof stringMatch>;

export const percent = z.strictObject({
  value: optional(z.number().min(0).max(100), 'Share in percent, fractions allowed', { default: '0' }),
});
