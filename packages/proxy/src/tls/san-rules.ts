/**
 * Who a peer may be: matchers over the names in its certificate. One that matches is enough.
 *
 * An exact DNS matcher also takes a certificate's wildcard for it (RFC 6125 §6.4.3, the left-most label
 * only), as Envoy does; patterns look at the text of the name.
 */
import type { CertificateValidationContext, StringMatcher } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import type { PeerCertificate } from '../io/tls-facts.ts';
import { compileStringMatch } from '../route/string-match.ts';

export type SanRule = (peer: PeerCertificate) => boolean;

type NamesOf = (peer: PeerCertificate) => readonly string[];

const uris: NamesOf = ({ uriSans }) => uriSans;
const dnsNames: NamesOf = ({ dnsSans }) => dnsSans;
const emails: NamesOf = ({ emailSans }) => emailSans;
const addresses: NamesOf = ({ ipSans }) => ipSans;

export function compileSanRules(message: CertificateValidationContext, scope: ProblemScope): SanRule[] {
  const rules = message.matchTypedSubjectAltNames.map((typed, i) => {
    const at = scope.at('match_typed_subject_alt_names', i);
    if (typed.matcher === undefined) {
      at.at('matcher').error('must be set');
      return never;
    }
    switch (typed.sanType) {
      case 'URI':
        return ruleOf(typed.matcher, [uris], at.at('matcher'));
      case 'DNS':
        return ruleOf(typed.matcher, [dnsNames], at.at('matcher'));
      case 'EMAIL':
        return ruleOf(typed.matcher, [emails], at.at('matcher'));
      case 'IP_ADDRESS':
        return ruleOf(typed.matcher, [addresses], at.at('matcher'));
      default:
        // An error even where unhonoured fields only warn: without its rule anybody would be let in.
        at.at('san_type').error(`${typed.sanType} is not supported`);
        return never;
    }
  });
  for (const [i, matcher] of message.matchSubjectAltNames.entries())
    rules.push(ruleOf(matcher, [uris, dnsNames, emails, addresses], scope.at('match_subject_alt_names', i)));
  return rules;
}

/** `name` is a host name; `pattern` what a certificate says. */
export function dnsMatches(pattern: string, name: string): boolean {
  const wanted = name.toLowerCase();
  const offered = pattern.toLowerCase();
  if (wanted === offered) return true;
  if (!offered.startsWith('*.')) return false;
  const dot = wanted.indexOf('.');
  return dot > 0 && wanted.slice(dot) === offered.slice(1);
}

const never: SanRule = () => false;

function ruleOf(matcher: StringMatcher, kinds: readonly NamesOf[], scope: ProblemScope): SanRule {
  const test = compileStringMatch(matcher, scope);
  const { exact } = matcher;
  return (peer) =>
    kinds.some((names) =>
      names(peer).some(
        (name) => test(name) || (names === dnsNames && exact !== undefined && dnsMatches(name, exact)),
      ),
    );
}
