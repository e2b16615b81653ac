/**
 * A connection as those see it who count connections or review them: they may end it, and are told when it has ended.
 * They are told which one, so that one function serves all of an owner's: a closure each would live as long as they do.
 */
export interface CountedConnection {
  /** False from the moment that onClose is due. */
  readonly isOpen: boolean;
  /** Called after the handler's onClose, whoever the handler is by then. */
  onceClosed: OnceClosed | null;
  /** Aborts: drops what waits and resets the peer. */
  terminate(): void;
}

export type OnceClosed = (connection: CountedConnection) => void;
