/** What `meshConfig.defaultConfig` asks of sidecars, in the words of the proxy's command line. */
import type { SidecarSettings } from '../mesh/views.ts';

/** The command line takes whole seconds: what was asked for is the least. */
export function sidecarFlags(settings: SidecarSettings, coreCount: number): readonly string[] {
  return [
    '--concurrency',
    String(settings.concurrency === 0 ? coreCount : settings.concurrency),
    '--drain-time-s',
    wholeSeconds(settings.drainMs),
    // The limit of a process that ends, whatever its listeners would take.
    '--parent-shutdown-time-s',
    wholeSeconds(settings.terminationDrainMs),
  ];
}

function wholeSeconds(ms: number): string {
  return String(Math.ceil(ms / 1000));
}
