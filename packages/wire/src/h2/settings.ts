/** SETTINGS (RFC 9113 §6.5, RFC 8441 §3): what we say, and what the peer said. */
import { H2ErrorCode } from './error-code.ts';
import {
  DEFAULT_WINDOW_BYTES,
  FRAME_HEADER_BYTES,
  FrameFlag,
  FrameType,
  MAX_MAX_FRAME_BYTES,
  MAX_WINDOW_BYTES,
  MIN_MAX_FRAME_BYTES,
  readUint32,
  writeFrameHeader,
  writeUint32,
} from './frame.ts';
import { DEFAULT_TABLE_BYTES } from './hpack/decoder.ts';
import type { H2LocalSettings } from './session-types.ts';

const HEADER_TABLE_SIZE = 0x1;
const ENABLE_PUSH = 0x2;
const MAX_CONCURRENT_STREAMS = 0x3;
const INITIAL_WINDOW_SIZE = 0x4;
const MAX_FRAME_SIZE = 0x5;
const MAX_HEADER_LIST_SIZE = 0x6;
const ENABLE_CONNECT_PROTOCOL = 0x8;

export const SETTING_BYTES = 6;
/** Most settings that `writeSettings` writes. */
const MAX_OWN_SETTINGS = 6;
export const OWN_SETTINGS_BOUND_BYTES = FRAME_HEADER_BYTES + MAX_OWN_SETTINGS * SETTING_BYTES;

/** Our SETTINGS frame at `at`; values that are the protocol's defaults are left out. */
export function writeSettings(
  out: Uint8Array,
  at: number,
  role: 'server' | 'client',
  settings: H2LocalSettings,
): number {
  let to = at + FRAME_HEADER_BYTES;
  if (settings.headerTableSize !== DEFAULT_TABLE_BYTES)
    to = writeSetting(out, to, HEADER_TABLE_SIZE, settings.headerTableSize);
  // We never take pushed responses, and a server has nothing to say here (§6.5.2).
  if (role === 'client') to = writeSetting(out, to, ENABLE_PUSH, 0);
  else to = writeSetting(out, to, MAX_CONCURRENT_STREAMS, settings.maxConcurrentStreams);
  if (settings.initialWindowBytes !== DEFAULT_WINDOW_BYTES)
    to = writeSetting(out, to, INITIAL_WINDOW_SIZE, settings.initialWindowBytes);
  if (settings.maxFrameBytes !== MIN_MAX_FRAME_BYTES)
    to = writeSetting(out, to, MAX_FRAME_SIZE, settings.maxFrameBytes);
  to = writeSetting(out, to, MAX_HEADER_LIST_SIZE, settings.maxHeaderListBytes);
  if (role === 'server' && settings.enableConnectProtocol)
    to = writeSetting(out, to, ENABLE_CONNECT_PROTOCOL, 1);
  writeFrameHeader(out, at, to - at - FRAME_HEADER_BYTES, FrameType.SETTINGS, FrameFlag.NONE, 0);
  return to;
}

/** What the peer's SETTINGS allow; the protocol's defaults until they say something else. */
export class PeerSettings {
  headerTableSize = DEFAULT_TABLE_BYTES;
  maxConcurrentStreams = 0xffff_ffff;
  initialWindowBytes = DEFAULT_WINDOW_BYTES;
  maxFrameBytes = MIN_MAX_FRAME_BYTES;
  maxHeaderListBytes = 0xffff_ffff;
  enablesConnectProtocol = false;
  /** Of the last `read`: the smallest header table size among its settings, which the encoder must have obeyed. */
  smallestTableSize = DEFAULT_TABLE_BYTES;

  /** Reads a payload of whole settings; the error of a value out of bounds, or null. Unknown ones are ignored. */
  read(isFromServer: boolean, buf: Uint8Array, start: number, end: number): H2ErrorCode | null {
    this.smallestTableSize = this.headerTableSize;
    for (let at = start; at < end; at += SETTING_BYTES) {
      const value = readUint32(buf, at + 2);
      const failure = this.#set((buf[at]! << 8) | buf[at + 1]!, value, isFromServer);
      if (failure !== null) return failure;
    }
    return null;
  }

  #set(id: number, value: number, isFromServer: boolean): H2ErrorCode | null {
    switch (id) {
      case HEADER_TABLE_SIZE:
        this.headerTableSize = value;
        this.smallestTableSize = Math.min(this.smallestTableSize, value);
        return null;
      case ENABLE_PUSH:
        return value > 1 || (isFromServer && value === 1) ? H2ErrorCode.PROTOCOL_ERROR : null;
      case MAX_CONCURRENT_STREAMS:
        this.maxConcurrentStreams = value;
        return null;
      case INITIAL_WINDOW_SIZE:
        this.initialWindowBytes = value;
        return value > MAX_WINDOW_BYTES ? H2ErrorCode.FLOW_CONTROL_ERROR : null;
      case MAX_FRAME_SIZE:
        this.maxFrameBytes = value;
        return value < MIN_MAX_FRAME_BYTES || value > MAX_MAX_FRAME_BYTES ? H2ErrorCode.PROTOCOL_ERROR : null;
      case MAX_HEADER_LIST_SIZE:
        this.maxHeaderListBytes = value;
        return null;
      case ENABLE_CONNECT_PROTOCOL:
        // RFC 8441 §3: it may not be taken back.
        if (value > 1 || (value === 0 && this.enablesConnectProtocol)) return H2ErrorCode.PROTOCOL_ERROR;
        this.enablesConnectProtocol = value === 1;
        return null;
      default:
        return null;
    }
  }
}

function writeSetting(out: Uint8Array, at: number, id: number, value: number): number {
  out[at] = id >>> 8;
  out[at + 1] = id;
  return writeUint32(out, at + 2, value);
}
