/** `sluice cert [list|show|revoke|rotate]`: the workloads' certificates, the authority behind them, and its tools. */
import type { CommandContext } from '../context.ts';
import { cliError, exitStatus } from '../errors.ts';
import type { ApiClient } from '../mesh/api-client.ts';
import { viewPaths, type CertificateView, type IdentityView } from '../mesh/views.ts';
import { certificateRows, describeSpan, renderChain } from '../output/certificate-rows.ts';
import { renderAs } from '../output/structured.ts';
import { renderTable } from '../output/table.ts';
import { connect } from './connect.ts';

export const certWords = ['list', 'show', 'revoke', 'rotate'] as const;

interface RevokedView {
  readonly serial: string;
  readonly identity: string;
  /** Peers are told. */
  readonly isListed: boolean;
}

export async function run(context: CommandContext): Promise<number> {
  const { args } = context;
  const [word = 'list', ...rest] = args.positional;
  const { client } = connect(context);
  switch (word) {
    case 'list':
      return list(context, await client.get<IdentityView>(viewPaths.identity));
    case 'show':
      return show(context, await client.get<IdentityView>(viewPaths.identity), rest);
    case 'revoke':
      return revoke(context, client, rest);
    case 'rotate':
      return rotate(context, client, rest);
    default:
      throw cliError('usage', `cert does not know "${word}": use ${certWords.join(', ')}`);
  }
}

/** Exit status 1 when something comes to its end without being replaced. */
function list({ args, out }: CommandContext, view: IdentityView): number {
  const format = args.text('output');
  const namespace = args.text('namespace');
  const certificates = view.certificates.filter(
    (one) => namespace === undefined || one.namespace === namespace,
  );
  if (format === 'json' || format === 'yaml') out.write(renderAs(format, { ...view, certificates }));
  else {
    const rows = certificateRows({ ...view, certificates }, { isAll: args.has('all') });
    out.write(
      rows.length === 0
        ? 'no certificate is in force\n'
        : renderTable(
            ['IDENTITY', 'INSTANCE', 'SERIAL', 'STATE', 'EXPIRES', 'NEXT RENEWAL', 'BY'],
            rows,
            out.columns,
          ),
    );
    out.write(`\n${renderAuthorities(view, out.columns)}`);
  }
  for (const { what, notAfter } of view.expiring)
    out.writeError(
      `${out.palette.bad(`the ${what} ends ${notAfter}`)} (${describeSpan(view.now, notAfter)})\n`,
    );
  return view.expiring.length > 0 ? exitStatus.failed : exitStatus.done;
}

function show({ args, out }: CommandContext, view: IdentityView, words: readonly string[]): number {
  const [wanted, ...more] = words;
  if (wanted === undefined || more.length > 0)
    throw cliError('usage', 'say which: cert show SERIAL, WORKLOAD, or NAMESPACE/WORKLOAD');
  const found = findCertificates(view.certificates, wanted, args.text('namespace'));
  if (found.length === 0)
    throw cliError(
      'usage',
      `no certificate in force is of ${wanted}: "sluice cert list" shows those there are`,
    );
  const format = args.text('output');
  if (format === 'json' || format === 'yaml') {
    const chains = found.map((certificate) => ({ certificate, chain: chainOf(view, certificate) }));
    out.write(renderAs(format, chains));
  } else out.write(found.map((one) => renderChain(view.now, one, chainOf(view, one))).join('\n'));
  return exitStatus.done;
}

async function revoke(
  { args, out }: CommandContext,
  client: ApiClient,
  words: readonly string[],
): Promise<number> {
  const workload = args.text('workload');
  const [serial, ...more] = words;
  if (more.length > 0 || (serial === undefined) === (workload === undefined))
    throw cliError(
      'usage',
      'say what to revoke: cert revoke SERIAL, or cert revoke --workload NAMESPACE/NAME',
    );
  const [namespace, name] = (workload ?? '').split('/');
  if (workload !== undefined && (namespace === undefined || name === undefined || name === ''))
    throw cliError('usage', `--workload ${workload} is not NAMESPACE/NAME`);
  const body = workload === undefined ? { serial } : { namespace, name };
  const { revoked } = await client.post<{ revoked: readonly RevokedView[] }>(
    `${viewPaths.identity}/revoke`,
    body,
  );
  for (const one of revoked) out.write(`revoked ${one.serial} of ${one.identity}\n`);
  const unlisted = revoked.filter(({ isListed }) => !isListed);
  if (unlisted.length > 0)
    out.writeError(
      `${out.palette.bad('not on any list')}: ${unlisted.map(({ serial: one }) => one).join(', ')}. Their authority's key is gone or may not sign lists (key usage cRLSign): the control plane refuses them, peers take them until they end\n`,
    );
  if (revoked.length > 0)
    out.write(
      'connections by them end within seconds; none can be renewed; a workload that may come back needs a new token (sluice token create)\n',
    );
  return unlisted.length > 0 ? exitStatus.failed : exitStatus.done;
}

async function rotate({ out }: CommandContext, client: ApiClient, words: readonly string[]): Promise<number> {
  const [what] = words;
  if (words.length !== 1 || (what !== 'root' && what !== 'intermediate'))
    throw cliError('usage', 'say what to rotate: cert rotate root, or cert rotate intermediate');
  await client.post(`${viewPaths.identity}/rotate`, { what });
  out.write(
    what === 'root'
      ? 'a new root is being spread; it signs when every proxy has it, and the old one stays trusted until its last certificate has expired\n'
      : 'a new intermediate signs from now on\n',
  );
  return exitStatus.done;
}

function renderAuthorities({ authorities, signing, now }: IdentityView, columns: number): string {
  const rows = authorities.map(({ id, role, phase, origin, subject, notAfter }) => [
    role,
    id === signing.id ? 'signing' : phase,
    origin === 'operator' ? 'operator' : 'mesh',
    subject,
    notAfter,
    describeSpan(now, notAfter),
  ]);
  const isListed = authorities.some(({ id }) => id === signing.id);
  if (!isListed)
    rows.push([
      'intermediate',
      'signing',
      'operator',
      signing.subject,
      signing.notAfter,
      describeSpan(now, signing.notAfter),
    ]);
  return renderTable(['AUTHORITY', 'STATE', 'OF', 'SUBJECT', 'EXPIRES', 'IN'], rows, columns);
}

/** By serial number, instance, or account. */
function findCertificates(
  all: readonly CertificateView[],
  wanted: string,
  namespace: string | undefined,
): readonly CertificateView[] {
  const serial = wanted.toLowerCase().replaceAll(':', '');
  const bySerial = all.filter((one) => one.serial === serial);
  if (bySerial.length > 0) return bySerial;
  const slash = wanted.indexOf('/');
  const inNamespace = slash < 0 ? (namespace ?? 'default') : wanted.slice(0, slash);
  const name = wanted.slice(slash + 1);
  return all.filter(
    (one) =>
      one.namespace === inNamespace &&
      (one.serviceAccount === name || one.instance === `${name}.${inNamespace}` || one.instance === name),
  );
}

/** From the certificate's issuer up to the root. */
function chainOf(
  { authorities }: IdentityView,
  { authorityId, rootId }: CertificateView,
): IdentityView['authorities'] {
  const ids = authorityId === rootId ? [rootId] : [authorityId, rootId];
  return ids.flatMap((id) => authorities.filter((one) => one.id === id));
}
