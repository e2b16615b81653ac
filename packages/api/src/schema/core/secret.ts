/** Secret: certificates and keys. Its content stands beside the metadata, in base64 or as text. */
import { optional, unused } from '../field.ts';
import { flag, stringMap, text } from '../primitives.ts';

export const secretFields = {
  type: optional(text, 'kubernetes.io/tls, or Opaque for any content', { default: 'Opaque' }),
  data: optional(
    stringMap,
    'Content by name, in base64: tls.crt, tls.key, ca.crt, ca.crl; or cert, key, cacert, crl',
  ),
  stringData: optional(stringMap, 'Content as text; it replaces that of the same name in data when written'),
  immutable: unused(flag),
};

export interface SecretContent {
  type?: string;
  data?: Record<string, string>;
  stringData?: Record<string, string>;
}
