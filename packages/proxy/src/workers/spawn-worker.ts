/** A data loop in a Bun Worker. `smol` halves its heap's appetite: a loop's memory is buffers, not objects. */
import type { FromLoop, ToLoop } from '../data-loop.ts';
import type { LoopPort } from './fleet.ts';

/** Beside this file from source; a bundle has both as JavaScript, in one folder. */
const workerFile = import.meta.url.endsWith('.js') ? './worker.js' : './worker.ts';

export function spawnWorker(index: number): LoopPort {
  const worker = new Worker(new URL(workerFile, import.meta.url).href, {
    name: `loop${index}`,
    smol: true,
  });
  let reason = 'ended';
  const port: LoopPort = {
    post: (message: ToLoop) => worker.postMessage(message),
    onMessage: () => undefined,
    onExit: () => undefined,
    terminate: () => void worker.terminate(),
  };
  worker.addEventListener('message', (event: MessageEvent<FromLoop>) => port.onMessage(event.data));
  worker.addEventListener('error', (event: ErrorEvent) => {
    reason = event.message;
  });
  worker.addEventListener('close', () => port.onExit(reason));
  return port;
}
