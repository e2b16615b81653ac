/**
 * The table of admin's paths: what each shows or does. Adding one is one entry; `/help` and the page at
 * `/` are made from the same table.
 */
import type { MetricsSource } from '@sluice/runtime';
import { drainAction, loggingAction, quitAction } from './actions.ts';
import { certsPage } from './certs-page.ts';
import { clustersPage } from './clusters-page.ts';
import { configDumpPage } from './config-dump.ts';
import { HTML, textReply, type AdminReply, type AdminRequest } from './exchange.ts';
import { listenersPage, memoryPage, runtimePage, serverInfoPage } from './info-pages.ts';
import { ResettableMetrics } from './resettable-metrics.ts';
import type { AdminSource } from './source.ts';
import { prometheusPage, select, statsPage } from './stats-page.ts';

interface Page {
  readonly help: string;
  /** True: changes something, POST only. */
  readonly isMutating: boolean;
  answer(query: URLSearchParams): AdminReply | Promise<AdminReply>;
}

export type AdminHandler = (request: AdminRequest) => Promise<AdminReply>;

/** Answers requests whose origin has been judged (`access.ts`). Never throws. */
export function createAdminHandler(
  source: AdminSource,
  memory: () => Parameters<typeof memoryPage>[0],
): AdminHandler {
  const metrics = new ResettableMetrics(source.metrics);
  const pages = pageTable(source, metrics, memory);
  return async ({ method, path, query }) => {
    const page = pages.get(path);
    if (page === undefined) return { ...textReply(`no such page\n\n${helpText(pages)}`, 404) };
    const isRead = method === 'GET' || method === 'HEAD';
    if (page.isMutating ? method !== 'POST' : !isRead && method !== 'POST') {
      const allow = page.isMutating ? 'POST' : 'GET, HEAD, POST';
      return { ...textReply(`${method} is not allowed here; use ${allow}\n`, 405), headers: { allow } };
    }
    try {
      return await page.answer(query);
    } catch (error) {
      return textReply(`${error instanceof Error ? error.message : String(error)}\n`, 500);
    }
  };
}

function pageTable(
  source: AdminSource,
  metrics: ResettableMetrics,
  memory: () => Parameters<typeof memoryPage>[0],
): Map<string, Page> {
  const pages = new Map<string, Page>();
  const show = (path: string, help: string, answer: Page['answer']): void => {
    pages.set(path, { help, isMutating: false, answer });
  };
  const act = (path: string, help: string, answer: Page['answer']): void => {
    pages.set(path, { help, isMutating: true, answer });
  };
  show('/', 'this page', () => ({ status: 200, contentType: HTML, body: homePage(pages) }));
  show('/certs', 'certificates in use', () =>
    certsPage(source.certificates(), source.serverFacts().nowWallMs),
  );
  show('/clusters', 'endpoints and their numbers (?format=json)', async (query) =>
    clustersPage(source.clusters(), await source.loopReports(), query),
  );
  show('/config_dump', 'configuration (?include_eds&resource=&mask=&name_regex=)', (query) =>
    configDumpPage(source.config(), query),
  );
  act('/drain_listeners', 'stop accepting (?graceful&inboundonly&skip_exit)', (query) =>
    drainAction(source, query),
  );
  act('/healthcheck/fail', 'fail health checks', () => done(() => source.failHealthCheck()));
  act('/healthcheck/ok', 'pass health checks again', () => done(() => source.passHealthCheck()));
  show('/help', 'this list', () => textReply(helpText(pages)));
  show('/hot_restart_version', 'compatibility of hot restarts', () =>
    textReply(`${source.serverFacts().hotRestartVersion}\n`),
  );
  show('/listeners', 'listening addresses (?format=json)', (query) =>
    listenersPage(source.listeners(), query),
  );
  act('/logging', 'log levels (?level=, ?<component>=, ?paths=a:debug,b:info)', (query) =>
    loggingAction(source, query),
  );
  show('/memory', 'memory use', () => memoryPage(memory()));
  act('/quitquitquit', 'end the process', () => quitAction(source));
  show('/ready', 'readiness', () => readyPage(source));
  act('/reset_counters', 'show counters from zero', () => done(() => metrics.reset()));
  show('/runtime', 'runtime values', () => runtimePage(source.runtimeLayers()));
  show('/server_info', 'version, state, node', () => serverInfoPage(source));
  show('/stats', 'statistics (?filter=&usedonly&type=&format=text|json|prometheus)', (query) =>
    statsPage(metrics, query),
  );
  show('/stats/prometheus', 'statistics for Prometheus (?filter=&usedonly)', (query) =>
    scrapePage(metrics, query),
  );
  return pages;
}

/** 200 LIVE, or 503 with the state and, on a second line, the reason. */
export function readyPage(source: Pick<AdminSource, 'state' | 'notReadyReason'>): AdminReply {
  const state = source.state();
  const reason = source.notReadyReason();
  return state === 'LIVE' && reason === ''
    ? textReply('LIVE\n')
    : textReply(`${state}\n${reason === '' ? '' : `${reason}\n`}`, 503);
}

/** `?filter=`, `?usedonly` and `?type=` as on `/stats`. */
export function scrapePage(metrics: MetricsSource, query: URLSearchParams): AdminReply {
  const selected = select(metrics, query);
  if (typeof selected === 'string') return textReply(selected, 400);
  return prometheusPage({ collect: () => selected }, query.get('format') === 'openmetrics');
}

function done(action: () => void): AdminReply {
  action();
  return textReply('OK\n');
}

function helpText(pages: ReadonlyMap<string, Page>): string {
  const lines = [...pages].map(
    ([path, { help, isMutating }]) => `  ${path}: ${help}${isMutating ? ' (POST)' : ''}\n`,
  );
  return `admin commands are:\n${lines.join('')}`;
}

/** Nothing here comes from a request, so nothing needs escaping. */
function homePage(pages: ReadonlyMap<string, Page>): string {
  const rows = [...pages].map(([path, { help, isMutating }]) => {
    const escaped = help.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
    const cell = isMutating
      ? `<form method="post" action="${path}"><button>${path}</button></form>`
      : `<a href="${path}">${path}</a>`;
    return `<tr><td>${cell}</td><td>${escaped}</td></tr>`;
  });
  return `<!doctype html><title>sluice proxy</title><h1>sluice proxy</h1><table>${rows.join('')}</table>\n`;
}
