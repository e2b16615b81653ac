/** Entry of a data loop's Worker: the first message makes the loop, the rest feed it. */
import type { FromLoop, ToLoop } from '../data-loop.ts';
import { askForShortSlice } from '../io/short-slice.ts';
import { createDataPlane } from '../stack.ts';
import { Loop } from './loop.ts';

declare const self: {
  addEventListener(type: 'message', listener: (event: { data: ToLoop }) => void): void;
  postMessage(message: FromLoop, transfer?: ArrayBuffer[]): void;
  close(): void;
};

let loop: Loop | null = null;

self.addEventListener('message', ({ data: message }) => {
  if (message.kind === 'init') {
    askForShortSlice();
    loop = new Loop(message, (reply, transfer) => self.postMessage(reply, transfer), createDataPlane);
  } else loop?.handle(message);
  if (message.kind === 'stop') self.close();
});
