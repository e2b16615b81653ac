/**
 * How a connection of HTTP ends in order: FIN first, and time for the client to read what it was sent and to end its
 * side, since a close with unread octets would reset it. Nothing that still comes is looked at.
 */
import type { Connection } from '../io/connection.ts';
import type { Deadline } from './deadline.ts';

/** `phase` fires when `lingerEnded` is due. */
export function beginLinger(connection: Connection, lingerMs: number, phase: Deadline, nowMs: number): void {
  if (!connection.isOpen) return;
  connection.resume();
  if (lingerMs <= 0) {
    connection.close();
    return;
  }
  connection.end();
  phase.setIn(lingerMs, nowMs);
}

/** What still waits leaves first, while the client takes any of it: a reset would cut a slow reader's answer. */
export function lingerEnded(connection: Connection): void {
  connection.close();
}
