/**
 * envoy.filters.listener.original_src: endpoints are dialled from the client's address, which a PROXY header before
 * this filter may have given. The kernel lets a process do so that has CAP_NET_ADMIN, and replies only come back where
 * routes lead them here (by `mark`); without the capability the filter is refused when it is configured.
 */
import type { OriginalSrc } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import type { ListenerFilter, ListenerFilterBinding } from '../filter/filter.ts';
import { nativeSockets } from '../io/native-socket.ts';

const withoutCapability =
  'dialling from the address of a client takes Linux and CAP_NET_ADMIN, which this process does not have; a PROXY header (upstream_proxy_protocol) or x-forwarded-for keeps the address without';

/** Null: it cannot be had here. */
export function compileOriginalSrc(
  { bindPort, mark }: OriginalSrc,
  scope: ProblemScope,
  mayDial = nativeSockets()?.mayDialAsClient() ?? false,
): ListenerFilterBinding | null {
  if (bindPort) scope.unhonoured('bind_port', 'the port of the client is still in use by its own connection');
  if (!mayDial) {
    scope.unhonoured('', withoutCapability);
    return null;
  }
  const filter: ListenerFilter = {
    onPeek(facts) {
      facts.clientSource = { address: facts.remoteAddress, mark };
      return 'continue';
    },
  };
  return {
    name: 'envoy.filters.listener.original_src',
    maxPeekBytes: 0,
    needsBytes: false,
    create: () => filter,
  };
}
