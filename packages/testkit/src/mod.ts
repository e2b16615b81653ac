/** What tests share: clocks, peers, processes, transcripts. Never imported by anything but tests. */
export { FakeClock, createRandom } from '@sluice/runtime';
export { cleanUp, onCleanUp } from './cleanup.ts';
export { waitFor } from './poll.ts';
export type { WaitOptions } from './poll.ts';
export { makeTempDir, withTempDir } from './temp-dir.ts';
export { blackholePort, freePort, refusingPort } from './ports.ts';
export { PeerConnection, connectPeer } from './peer-connection.ts';
export type { PeerEnd } from './peer-connection.ts';
export { startEchoOrigin, startGreetingOrigin, startOrigin } from './origin.ts';
export type { Origin, OriginScript } from './origin.ts';
export { describeRequest, encodeReply, startHttpOrigin, startStatusOrigin } from './http-origin.ts';
export type { HttpOrigin, OriginReply, OriginRequest, OriginResponder } from './http-origin.ts';
export { TestProcess, spawnBun, spawnCommand } from './test-process.ts';
export type { LineWaitOptions, SpawnOptions } from './test-process.ts';
export { runTranscript } from './transcript.ts';
export type { TranscriptCommand, TranscriptHandler } from './transcript.ts';
export { fakeTime } from './fake-time.ts';
export type { FakeTime } from './fake-time.ts';
