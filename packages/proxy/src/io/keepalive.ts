/**
 * TCP keepalive of upstream sockets, set by setsockopt on the descriptor: Bun's own call fixes ten probes
 * a second apart, while users set all three numbers.
 */
import { libc, platform } from './libc.ts';

export interface TcpKeepalive {
  /** Idle time before the first probe; null = the system's (Linux: two hours). */
  readonly timeMs: number | null;
  /** Between probes; null = the system's (Linux: 75 s). */
  readonly intervalMs: number | null;
  /** Without an answer to so many, the connection is dead; null = the system's (Linux: 9). */
  readonly probes: number | null;
}

const IPPROTO_TCP = 6;
/** Linux: include/uapi/linux/tcp.h; macOS: netinet/tcp.h. */
const names = platform.isDarwin
  ? { SO_KEEPALIVE: 0x0008, TCP_KEEPIDLE: 0x10, TCP_KEEPINTVL: 0x101, TCP_KEEPCNT: 0x102 }
  : { SO_KEEPALIVE: 9, TCP_KEEPIDLE: 4, TCP_KEEPINTVL: 5, TCP_KEEPCNT: 6 };

/** Linux refuses larger ones (MAX_TCP_KEEPIDLE, MAX_TCP_KEEPINTVL; seconds) and MAX_TCP_KEEPCNT. */
const maxSeconds = 32_767;
const maxProbes = 127;

/** A Unix socket, or a descriptor that is gone, refuses the options; it then lives without. */
export function setKeepalive(fd: number, keepalive: TcpKeepalive): void {
  const { timeMs, intervalMs, probes } = keepalive;
  const { setOption } = libc();
  if (setOption(fd, platform.SOL_SOCKET, names.SO_KEEPALIVE, 1) !== 0) return;
  if (timeMs !== null) setOption(fd, IPPROTO_TCP, names.TCP_KEEPIDLE, wholeSeconds(timeMs));
  if (intervalMs !== null) setOption(fd, IPPROTO_TCP, names.TCP_KEEPINTVL, wholeSeconds(intervalMs));
  if (probes !== null) setOption(fd, IPPROTO_TCP, names.TCP_KEEPCNT, Math.min(probes, maxProbes));
}

function wholeSeconds(ms: number): number {
  return Math.min(maxSeconds, Math.max(1, Math.round(ms / 1_000)));
}
