/**
 * The revocation lists of the authorities that have leaves about, as proxies get them in `ROOTCA`. Nothing is listed
 * until something is revoked; from then on every such authority has a list, since OpenSSL and Envoy refuse a chain
 * whose issuer has none once there is any.
 *
 * A list is good until its authority ends: a control plane that is away must not turn into refused connections.
 *
 * Lists of an authority that signs no more (its key has gone) are kept as they were last signed: what they revoke
 * would be good again, as long as its root is trusted.
 *
 * A disk that is full keeps no list from being spread: it is written when there is room, and signed anew after a
 * restart before that.
 */
import { crlPem, isProblem, issueCrl, parseCrl, parsePem, verifyCrl, type Authority } from '@sluice/identity';
import { hasErrorCode } from '../errors.ts';
import type { AuthorityTable, IssuedRow } from './authority-table.ts';

const listName = 'crl';
const numberName = 'crl-number';
const coverName = 'crl-cover';

export class RevocationLists {
  readonly #table: AuthorityTable;
  #pem: string;
  #cover: string;
  #number: number;
  #isWritten = true;

  constructor(table: AuthorityTable) {
    this.#table = table;
    this.#pem = table.text(listName) ?? '';
    this.#cover = table.text(coverName) ?? '';
    this.#number = Number(table.text(numberName) ?? 0);
  }

  /** PEM of all lists; empty while nothing is revoked. */
  get pem(): string {
    return this.#pem;
  }

  /** Signs them anew where what they cover has changed. True when they changed. */
  refresh(authorities: readonly Authority[], revoked: readonly IssuedRow[], nowMs: number): boolean {
    const cover =
      revoked.length === 0
        ? ''
        : [
            ...authorities.map(({ certificate }) => certificate.sha256),
            ...revoked.map(({ serial }) => serial),
          ].join(' ');
    if (cover === this.#cover) {
      if (!this.#isWritten) this.#write();
      return false;
    }
    this.#cover = cover;
    const number = ++this.#number;
    this.#pem =
      cover === ''
        ? ''
        : [
            ...authorities.map((one) => this.#list(one, revoked, number, nowMs)),
            ...this.#listsOfOthers(authorities, nowMs),
          ].join('');
    this.#write();
    return true;
  }

  #write(): void {
    try {
      this.#table.putTexts([
        [numberName, String(this.#number)],
        [listName, this.#pem],
        [coverName, this.#cover],
      ]);
      this.#isWritten = true;
    } catch (error) {
      if (!hasErrorCode(error, 'state-unwritable')) throw error;
      this.#isWritten = false;
    }
  }

  /** As they were signed, until their authorities end. */
  #listsOfOthers(authorities: readonly Authority[], nowMs: number): readonly string[] {
    const blocks = parsePem(this.#pem);
    if (isProblem(blocks)) return [];
    return blocks.flatMap(({ der }) => {
      const list = parseCrl(der);
      if (isProblem(list) || (list.nextUpdateMs ?? Infinity) <= nowMs) return [];
      return authorities.some(({ certificate }) => verifyCrl(list, certificate) === null)
        ? []
        : [crlPem(der)];
    });
  }

  #list(authority: Authority, revoked: readonly IssuedRow[], number: number, nowMs: number): string {
    const { certificate } = authority;
    const own = revoked.filter(({ authorityId }) => authorityId === certificate.sha256);
    return crlPem(
      issueCrl(authority, {
        number,
        thisUpdateMs: nowMs,
        nextUpdateMs: certificate.notAfterMs,
        revoked: own.map(({ serial, revokedMs }) => ({ serial, revokedMs })),
      }),
    );
  }
}
