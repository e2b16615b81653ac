/** What pools and their connections need of the data loop. */
import type { Clock, Random, TimerWheel } from '@sluice/runtime';
import type { SocketProvider } from '../io/connection.ts';

export interface PoolServices {
  readonly sockets: SocketProvider;
  readonly timers: TimerWheel;
  readonly clock: Clock;
  readonly random: Random;
}
