/**
 * All listeners of a data loop, and the way from one to another for redirected connections.
 *
 * Invariant: an update retires exactly those chains whose content is gone; connections of the others
 * do not notice.
 */
import type { Listener as ListenerMessage } from '@sluice/xds';
import { formatProblem, newProblems } from '../config/problems.ts';
import type { ListenerCompileContext } from './compile-context.ts';
import { CompiledListener, compileListener } from './compile-listener.ts';
import type { ConnectionFacts, FilterChain, ListenerRuntime } from './listener.ts';
import { parseIp } from './ip-prefix.ts';

export interface ListenerSetHooks {
  /** Connections of these chains end: new ones no longer get there. */
  chainsRetired(chains: readonly FilterChain[]): void;
}

export class ListenerSet {
  readonly #context: ListenerCompileContext;
  readonly #hooks: ListenerSetHooks;
  readonly #byName = new Map<string, CompiledListener>();
  /** `address:port` → listener, wildcard addresses as `*:port`. */
  readonly #byAddress = new Map<string, CompiledListener>();

  constructor(context: ListenerCompileContext, hooks: ListenerSetHooks) {
    this.#context = context;
    this.#hooks = hooks;
  }

  find(name: string): CompiledListener | null {
    return this.#byName.get(name) ?? null;
  }

  all(): Iterable<CompiledListener> {
    return this.#byName.values();
  }

  /** The main thread has validated the message; an error here is a broken invariant and throws. */
  put(message: ListenerMessage, version: string): CompiledListener {
    const scope = newProblems();
    const old = this.#byName.get(message.name) ?? null;
    const listener = compileListener(message, version, old, this.#context, this.#redirect, scope);
    const errors = scope.problems.filter((problem) => problem.severity === 'error');
    if (errors.length > 0) throw new Error(`${message.name}: ${errors.map(formatProblem).join('; ')}`);
    if (old !== null) this.#forgetAddress(old);
    this.#byName.set(listener.name, listener);
    this.#byAddress.set(addressKey(listener.address, listener.port), listener);
    if (old !== null) {
      const retired = [...old.chains].filter(([key]) => !listener.chains.has(key)).map(([, chain]) => chain);
      if (retired.length > 0) this.#hooks.chainsRetired(retired);
    }
    return listener;
  }

  remove(name: string): void {
    const listener = this.#byName.get(name);
    if (listener === undefined) return;
    this.#byName.delete(name);
    this.#forgetAddress(listener);
    this.#hooks.chainsRetired([...listener.chains.values()]);
  }

  readonly #redirect = (listener: CompiledListener, facts: ConnectionFacts): ListenerRuntime => {
    if (!facts.isDestinationRestored) return listener;
    const { destinationAddress, destinationPort } = facts;
    return (
      this.#byAddress.get(addressKey(destinationAddress, destinationPort)) ??
      this.#byAddress.get(`*:${destinationPort}`) ??
      listener
    );
  };

  #forgetAddress(listener: CompiledListener): void {
    const key = addressKey(listener.address, listener.port);
    if (this.#byAddress.get(key) === listener) this.#byAddress.delete(key);
  }
}

function addressKey(address: string, port: number): string {
  const ip = parseIp(address);
  if (ip === null) return address;
  return ip.value === 0n ? `*:${port}` : `${ip.bits}:${ip.value.toString(16)}:${port}`;
}
