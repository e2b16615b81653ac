/** `sluice check`: can a mesh run here, and does the one that runs feel well. */
import { formatProblem } from '@sluice/api';
import type { CommandContext } from '../context.ts';
import { exitStatus, isCliError } from '../errors.ts';
import {
  viewPaths,
  type IdentityView,
  type InstanceView,
  type ProxyView,
  type SummaryView,
} from '../mesh/views.ts';
import { ApiClient, lookTimeoutMs } from '../mesh/api-client.ts';
import { findMesh, type FoundMesh } from '../mesh/find-mesh.ts';
import { renderAs } from '../output/structured.ts';
import { lastLines, logPath } from '../up/log-files.ts';
import { checkEnvironment, type CheckResult } from '../up/environment-checks.ts';
import { checkClocks } from './clock-checks.ts';
import { checkSidecars } from './sidecar-checks.ts';
import { isTroubled, statusRows, troubleOf } from './status.ts';

const shownLogLines = 3;

export async function run(context: CommandContext): Promise<number> {
  const { args, out } = context;
  const sections = { environment: checkEnvironment(context), mesh: await checkMesh(context) };
  const format = args.text('output');
  if (format === 'json' || format === 'yaml') out.write(renderAs(format, sections));
  else
    for (const [name, results] of Object.entries(sections))
      out.write(
        `${name}\n${'-'.repeat(name.length)}\n${results.map((result) => line(result, context)).join('')}\n`,
      );
  const all = Object.values(sections).flat();
  const hasFailed = all.some(({ state }) => state === 'failed');
  if (format === undefined)
    out.write(`Status check results are ${mark(hasFailed ? 'failed' : 'fine', context)}\n`);
  return hasFailed ? exitStatus.failed : exitStatus.done;
}

async function checkMesh(context: CommandContext): Promise<readonly CheckResult[]> {
  try {
    const mesh = findMesh(context);
    const client = new ApiClient(mesh);
    const askedAtMs = Date.now();
    const limit = { timeoutMs: lookTimeoutMs };
    const [summary, { proxies }, { instances }, identity] = await Promise.all([
      client.get<SummaryView>(viewPaths.summary, limit),
      client.get<{ proxies: readonly ProxyView[] }>(viewPaths.proxies, limit),
      client.get<{ instances: readonly InstanceView[] }>(viewPaths.instances, limit),
      client.get<IdentityView>(viewPaths.identity, limit),
    ]);
    const rows = statusRows(proxies, instances);
    const troubled = rows.filter(isTroubled).map(troubleOf);
    const unhealthy = instances
      .filter(({ isHealthy }) => !isHealthy)
      .map(({ instance, healthMessage }) => `${instance}: ${healthMessage}`);
    return [
      { what: `control plane ${summary.version} answers at ${client.url}`, state: 'fine' },
      verdict(
        'the control plane can write its state',
        summary.storageTrouble === null ? [] : [summary.storageTrouble],
        'changes are refused until then; traffic and what is configured go on',
      ),
      verdict(
        'every resource file is readable',
        summary.fileProblems
          .filter(({ severity }) => severity === 'error')
          .map((problem) => formatProblem(problem)),
        'the last good content of each file is in use',
      ),
      verdict(
        'every resource is valid and refers to what exists',
        summary.troubles.shown.map(({ name, reason, message }) => `${name}: ${reason}: ${message}`),
        `${summary.troubles.total} in all; "sluice describe" says more of each`,
      ),
      verdict(
        `all ${rows.length} proxies are connected and refuse nothing`,
        troubled,
        '"sluice status" shows their words',
      ),
      verdict(
        `all ${instances.length} instances are healthy`,
        unhealthy,
        '"sluice logs" shows what they say',
      ),
      verdict(
        'leases are evicted as they should',
        summary.isEvictionFrozen ? ['more than half of all instances went silent at once'] : [],
        'nothing is evicted until they return',
      ),
      ...checkCertificates(identity, instances, new Set(proxies.flatMap(({ instance }) => instance ?? []))),
      await checkClocks(summary, instances, askedAtMs),
      ...(await checkSidecars(instances)),
      ...checkSupervision(mesh),
    ];
  } catch (error) {
    if (!isCliError(error)) throw error;
    const isSilent = error.code === 'control-unreachable';
    return [
      {
        what: error.message,
        state: error.code === 'mesh-not-found' ? 'notice' : 'failed',
        ...(isSilent ? lastWords(findMesh(context).stateDir) : {}),
      },
    ];
  }
}

/** Nothing is said of a control plane that somebody else runs. */
function checkSupervision({ abandonment, record }: FoundMesh): readonly CheckResult[] {
  if (abandonment !== undefined)
    return [{ what: 'something restarts and probes what runs', state: 'failed', hint: abandonment }];
  if (record === undefined) return [];
  return [{ what: `"sluice up" runs it from ${record.dir} (process ${record.process.pid})`, state: 'fine' }];
}

/** Why it is silent is in its log, when the log is here. */
function lastWords(stateDir: string | undefined): Pick<CheckResult, 'hint'> {
  const lines = stateDir === undefined ? [] : lastLines(logPath(stateDir, 'control'), shownLogLines);
  if (lines.length === 0) return {};
  return { hint: ['its log ends with', ...lines.map((text) => text.replaceAll('\t', '  '))].join('\n    ') };
}

/** What ends soon without being replaced: authorities, and workloads whose renewal is overdue. */
export function checkCertificates(
  { expiring, certificates, now }: IdentityView,
  instances: readonly InstanceView[],
  connected: ReadonlySet<string>,
): readonly CheckResult[] {
  const living = new Set(instances.map(({ instance }) => instance));
  const newest = new Map([...certificates].reverse().map((one) => [`${one.identity} ${one.instance}`, one]));
  const overdue = [...newest.values()].filter(
    ({ instance, renewalBy, revokedAt }) =>
      living.has(instance) && revokedAt === null && Date.parse(renewalBy) < Date.parse(now),
  );
  const holders = new Set(
    certificates.map(
      // One that is bound to no instance is good for all of its account.
      (one) => (one.instance === '' ? `account ${one.namespace}/${one.serviceAccount}` : one.instance),
    ),
  );
  const expired = instances
    .filter(({ instance, registration, isRevoked }) => {
      const { namespace, serviceAccount, labels } = registration;
      const hasSidecar = labels['sidecar.istio.io/inject'] !== 'false';
      const isHolder = holders.has(instance) || holders.has(`account ${namespace}/${serviceAccount}`);
      // Who is connected without one is an Envoy on the loopback port, and needs none.
      return hasSidecar && !isRevoked && !isHolder && !connected.has(instance);
    })
    .map(({ instance }) => `${instance} has no certificate in force: its calls are refused`);
  return [
    verdict(
      'every workload has a certificate',
      expired,
      'it expired while the control plane was away, or it never joined: start the workload again, or give it a token',
    ),
    verdict(
      'no authority comes to its end',
      expiring.map(({ what, notAfter }) => `the ${what} ends ${notAfter}`),
      '"sluice cert" shows them; what an operator brought, the operator replaces',
    ),
    verdict(
      'every workload renews its certificate in time',
      overdue.map(({ identity, notAfter }) => `${identity} should have asked already, ends ${notAfter}`),
      'its sidecar runs no more, or its log says why',
    ),
  ];
}

function verdict(what: string, findings: readonly string[], hint: string): CheckResult {
  return findings.length === 0
    ? { what, state: 'fine' }
    : { what, state: 'failed', hint: [...findings, `(${hint})`].join('\n    ') };
}

function line(result: CheckResult, context: CommandContext): string {
  const hint = result.hint === undefined ? '' : `\n    ${result.hint}`;
  return `${mark(result.state, context)} ${result.what}${hint}\n`;
}

function mark(state: CheckResult['state'], { out: { palette } }: CommandContext): string {
  return state === 'fine' ? palette.good('√') : state === 'notice' ? palette.warn('‼') : palette.bad('×');
}
