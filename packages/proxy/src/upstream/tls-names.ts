/** The server name that TLS takes from a request (`auto_sni`), and which requests give none. */
import { isIP } from 'node:net';
import type { HeaderList } from '@sluice/wire';

export interface TlsNames {
  /** The certificate must be for that name. */
  readonly demandsName: boolean;
  /** Lower-case header that holds it; empty = the host. */
  readonly header: string;
}

/** Empty: an address, or nothing; the transport's own name then holds, as in Envoy. */
export function serverNameOf(names: TlsNames, authority: string, headers: HeaderList): string {
  const text = names.header === '' ? authority : (headers.getByName(names.header) ?? authority);
  if (text.startsWith('[')) return '';
  const colon = text.indexOf(':');
  const name = colon < 0 ? text : text.slice(0, colon);
  return isIP(name) === 0 ? name.toLowerCase() : '';
}
