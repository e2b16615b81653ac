/**
 * `sluice token create|list|revoke`: join tokens for workloads elsewhere. A token is a secret: it goes into a 0600
 * file, and to standard output only when that is asked for by `-o -`.
 */
import { existsSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseGoDurationMs } from '@sluice/runtime';
import type { ParsedArgs } from '../args/parse.ts';
import type { CommandContext } from '../context.ts';
import { cliError, exitStatus } from '../errors.ts';
import type { ApiClient } from '../mesh/api-client.ts';
import { viewPaths, type JoinTokenView } from '../mesh/views.ts';
import { describeSpan } from '../output/certificate-rows.ts';
import { renderAs } from '../output/structured.ts';
import { orNone, renderTable } from '../output/table.ts';
import { connect } from './connect.ts';

export const tokenWords = ['create', 'list', 'revoke'] as const;
const structuredForms = ['json', 'yaml'];

export async function run(context: CommandContext): Promise<number> {
  const [word = 'list', ...rest] = context.args.positional;
  const { client } = connect(context);
  switch (word) {
    case 'create':
      return create(context, client, rest);
    case 'list':
      return list(context, client);
    case 'revoke':
      return revoke(context, client, rest);
    default:
      throw cliError('usage', `token does not know "${word}": use ${tokenWords.join(', ')}`);
  }
}

async function create(
  { args, out, cwd }: CommandContext,
  client: ApiClient,
  words: readonly string[],
): Promise<number> {
  const target = args.text('output');
  if (words.length > 0)
    throw cliError('usage', 'token create takes flags only: --service-account NAME -o FILE');
  if (target === undefined)
    throw cliError('usage', 'say where the token goes: -o FILE (0600), or -o - to print it');
  const path = resolve(cwd, target);
  if (target !== '-' && existsSync(path))
    throw cliError('file-unusable', `${path} exists already: name another file, or move it away`);
  const { token, ...view } = await client.post<JoinTokenView & { readonly token: string }>(
    viewPaths.tokens,
    readRequest(args),
  );
  if (target === '-') {
    out.write(`${token}\n`);
    return exitStatus.done;
  }
  try {
    writeFileSync(path, `${token}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    // A token that reached nobody stays good for minutes otherwise.
    await client.request(`${viewPaths.tokens}/${view.id}`, { method: 'DELETE' });
    throw cliError(
      'file-unusable',
      `${path} cannot be written: ${error instanceof Error ? error.message : ''}`,
      error,
    );
  }
  out.write(
    `${path}: join token ${view.id} for ${view.namespace}/${view.serviceAccount}, good once, until ${view.expiresAt}\n`,
  );
  return exitStatus.done;
}

async function list({ args, out }: CommandContext, client: ApiClient): Promise<number> {
  const { tokens } = await client.get<{ tokens: readonly JoinTokenView[] }>(viewPaths.tokens);
  const format = args.text('output');
  if (format !== undefined && !structuredForms.includes(format))
    throw cliError('usage', `-o ${format} is no form of a list: use json or yaml`);
  if (format !== undefined) out.write(renderAs(format, { tokens }));
  else if (tokens.length === 0) out.write('there are no join tokens\n');
  else {
    const now = new Date().toISOString();
    const rows = tokens.map((one) => [
      one.id,
      one.namespace,
      one.serviceAccount,
      orNone(one.instance),
      one.state,
      describeSpan(now, one.expiresAt),
    ]);
    out.write(renderTable(['ID', 'NAMESPACE', 'ACCOUNT', 'INSTANCE', 'STATE', 'EXPIRES'], rows, out.columns));
  }
  return exitStatus.done;
}

async function revoke({ out }: CommandContext, client: ApiClient, ids: readonly string[]): Promise<number> {
  if (ids.length === 0) throw cliError('usage', 'say which: token revoke ID…');
  for (const id of ids) {
    await client.request(`${viewPaths.tokens}/${encodeURIComponent(id)}`, { method: 'DELETE' });
    out.write(`revoked ${id}\n`);
  }
  return exitStatus.done;
}

/** Throws `usage`. */
function readRequest(args: ParsedArgs): object {
  const ttl = args.text('ttl');
  const ttlMs = ttl === undefined ? 0 : parseGoDurationMs(ttl);
  if (ttlMs === undefined || ttlMs < 0)
    throw cliError('usage', `--ttl ${ttl} is not a duration: write 15m or 1h`);
  const labels = Object.fromEntries(
    args.list('labels').map((pair) => {
      const equals = pair.indexOf('=');
      if (equals <= 0) throw cliError('usage', `--labels ${pair} is not KEY=VALUE`);
      return [pair.slice(0, equals), pair.slice(equals + 1)];
    }),
  );
  const ports = args.list('ports').map((text) => {
    if (!/^\d{1,5}$/.test(text)) throw cliError('usage', `--ports ${text} is not a port`);
    return Number(text);
  });
  const instance = args.text('instance');
  return {
    namespace: args.text('namespace') ?? 'default',
    serviceAccount: args.text('service-account') ?? 'default',
    labels,
    ports,
    ttlMs,
    ...(instance === undefined ? {} : { instance }),
  };
}
