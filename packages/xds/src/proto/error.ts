/** Why bytes or JSON could not become a message, and where. The only error this folder throws on input. */

export type XdsDecodeCode =
  'truncated' | 'malformed' | 'too-deep' | 'too-large' | 'wrong-type' | 'unknown-field';

export class XdsDecodeError extends Error {
  override readonly name = 'XdsDecodeError';
  readonly code: XdsDecodeCode;
  /** Proto path within the message; empty for the message itself. */
  readonly path: string;
  readonly detail: string;

  constructor(code: XdsDecodeCode, path: string, detail: string) {
    super(path === '' ? detail : `${path}: ${detail}`);
    this.code = code;
    this.path = path;
    this.detail = detail;
  }
}
