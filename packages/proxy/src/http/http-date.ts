/** The Date of responses (RFC 9110 §6.6.1), made once a second. */
import type { Clock } from '@sluice/runtime';

export interface HttpDate {
  text(): string;
}

export function createHttpDate(clock: Clock): HttpDate {
  let second = -1;
  let text = '';
  return {
    text() {
      const now = Math.floor(clock.wallMs() / 1000);
      if (now !== second) {
        second = now;
        text = new Date(now * 1000).toUTCString();
      }
      return text;
    },
  };
}
