/** A session's counters at its start. */
import type { H2Stats } from './session-types.ts';

export function emptyStats(): H2Stats {
  return {
    streamsOpened: 0,
    framesReceived: 0,
    framesSent: 0,
    dataFramesSent: 0,
    dataBytesReceived: 0,
    dataBytesSent: 0,
    resetsReceived: 0,
    resetsSent: 0,
    streamErrors: 0,
    headerListsTooLarge: 0,
    trailerFieldsDropped: 0,
    refusedStreams: 0,
    prematureResetFlood: 0,
    provokedResetFlood: 0,
    continuationFlood: 0,
    emptyFrameFlood: 0,
    pingFlood: 0,
    settingsFlood: 0,
    priorityFlood: 0,
    windowUpdateFlood: 0,
    ignoredFrameFlood: 0,
    outboundFlood: 0,
    outboundControlFlood: 0,
  };
}
