/**
 * Times in certificates (RFC 5280 §4.1.2.5): UTCTime up to 2049, GeneralizedTime from 2050, both in UTC and with
 * seconds. 99991231235959Z means "no end" there.
 */
import { derTag } from './der-tag.ts';

const utcForm = /^(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/;
const generalizedForm = /^(\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/;
const firstGeneralizedYear = 2050;

/** Milliseconds since 1970; null when it is not such a time, or not one of the calendar. */
export function parseDerTime(tag: number, content: Uint8Array): number | null {
  const text = Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString('latin1');
  const match = (tag === derTag.utcTime ? utcForm : generalizedForm).exec(text);
  if (match === null) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  const fullYear = tag === derTag.utcTime ? year + (year < 50 ? 2000 : 1900) : year;
  const date = new Date(0);
  date.setUTCFullYear(fullYear, month - 1, day);
  date.setUTCHours(hour, minute, second);
  const isOfCalendar =
    date.getUTCFullYear() === fullYear &&
    date.getUTCMonth() === month - 1 &&
    date.getUTCDate() === day &&
    date.getUTCHours() === hour &&
    date.getUTCMinutes() === minute &&
    date.getUTCSeconds() === second;
  return isOfCalendar ? date.getTime() : null;
}

/** Tag and text of a time, whole seconds. `ms` lies between the years 1950 and 9999. */
export function formatDerTime(ms: number): { readonly tag: number; readonly text: string } {
  const digits = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, '');
  return new Date(ms).getUTCFullYear() >= firstGeneralizedYear
    ? { tag: derTag.generalizedTime, text: digits }
    : { tag: derTag.utcTime, text: digits.slice(2) };
}
