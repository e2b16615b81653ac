/**
 * For tests and fuzzing: a session whose events and frames are lines of text.
 *
 *   head 1 GET http a / end        an event          < RST_STREAM 1 PROTOCOL_ERROR     a frame it wrote
 *
 * Its owner consumes what it gets and answers nothing unless a test does so by `act`.
 */
import { decodeLatin1 } from '../headers/bytes.ts';
import type { HeaderList } from '../headers/header-list.ts';
import { H2ErrorCode, h2ErrorName } from './error-code.ts';
import { join, preface, settings, settingsAck } from './frame-builder.ts';
import { FrameReader, type FrameHandler } from './frame-reader.ts';
import { FrameType, readUint31, readUint32 } from './frame.ts';
import { FieldCollector } from './hpack/field-collector.ts';
import { HpackDecoder } from './hpack/decoder.ts';
import { defaultH2Limits, type H2Limits } from './limits.ts';
import type { H2LocalSettings, H2Output, H2SessionSink } from './session-types.ts';
import { H2Session } from './session.ts';
import type { H2Stream } from './stream-types.ts';

export interface SessionTestOptions {
  readonly role?: 'server' | 'client';
  readonly localSettings?: Partial<H2LocalSettings>;
  readonly limits?: Partial<H2Limits>;
  readonly connectionWindowBytes?: number;
  /** Called at the end of every event, with the stream if there is one. */
  readonly act?: (event: string, stream: H2Stream | null, peer: SessionUnderTest) => void;
  readonly consumes?: boolean;
  /** The greeting stays in the output, for a real peer. */
  readonly keepsOutput?: boolean;
}

/** Content longer than this is told by its length. */
const SHOWN_BYTES = 64;

/** Our SETTINGS and the first WINDOW_UPDATE are no news. */
export class SessionUnderTest implements H2Output, H2SessionSink {
  readonly lines: string[] = [];
  readonly session: H2Session;
  readonly streams: H2Stream[] = [];
  nowMs = 0;
  /** Of the last event: its content, and its trailers as lines. */
  lastData: Uint8Array = new Uint8Array(0);
  lastTrailers = '';
  isWritable = true;
  writeOffset = 0;
  #buffer = new Uint8Array(1024);
  /** The line of the content that was told last, its stream, and all of it. */
  #run = '';
  #runId = 0;
  #runText = '';
  #runBytes = 0;
  readonly #options: SessionTestOptions;
  readonly #frames: FrameLines;

  constructor(options: SessionTestOptions = {}) {
    this.#options = options;
    const role = options.role ?? 'server';
    this.session = new H2Session(
      {
        role,
        localSettings: {
          headerTableSize: 4096,
          maxConcurrentStreams: 100,
          initialWindowBytes: 65_535,
          maxFrameBytes: 16_384,
          maxHeaderListBytes: 16_384,
          enableConnectProtocol: true,
          ...options.localSettings,
        },
        connectionWindowBytes: options.connectionWindowBytes ?? 65_535,
        limits: { ...defaultH2Limits, ...options.limits },
      },
      this,
      this,
      0,
    );
    this.#frames = new FrameLines(this.lines);
    this.session.start();
    if (options.keepsOutput !== true) this.writeOffset = 0;
  }

  /** Gives octets to the session, whole or in pieces of this many, and reads what it wrote. */
  receive(octets: Uint8Array, piece = octets.length): this {
    for (let at = 0; at < octets.length; at += Math.max(1, piece)) {
      const part = octets.slice(at, at + Math.max(1, piece));
      this.session.receive(part, 0, part.length, this.nowMs);
    }
    return this.read();
  }

  /** The peer's side of the handshake, then what follows. */
  greet(...frames: readonly Uint8Array[]): this {
    const start = this.#options.role === 'client' ? [] : [preface];
    this.receive(join(...start, settings(), settingsAck));
    this.lines.length = 0;
    return this.receive(join(...frames));
  }

  /** Reads what the session wrote into lines. */
  read(): this {
    this.#frames.receive(this.#buffer.slice(0, this.writeOffset));
    this.writeOffset = 0;
    return this;
  }

  /** What the session wrote, as octets. */
  takeOutput(): Uint8Array {
    const out = this.#buffer.slice(0, this.writeOffset);
    this.writeOffset = 0;
    return out;
  }

  reserve(byteCount: number): Uint8Array {
    if (this.writeOffset + byteCount > this.#buffer.length) {
      const grown = new Uint8Array((this.writeOffset + byteCount) * 2);
      grown.set(this.#buffer.subarray(0, this.writeOffset));
      this.#buffer = grown;
    }
    return this.#buffer;
  }
  commit(end: number): void {
    this.writeOffset = end;
  }
  write(octets: Uint8Array, start: number, end: number): void {
    this.reserve(end - start).set(octets.subarray(start, end), this.writeOffset);
    this.writeOffset += end - start;
  }

  onHead(stream: H2Stream, isEnd: boolean): void {
    const { method, scheme, authority, path, protocol, status } = stream.pseudo;
    const first =
      status !== 0 ? String(status) : [method, scheme, authority, path, protocol].join(' ').trim();
    this.streams.push(stream);
    this.#event('head', stream, `${first}${fieldText(stream.headers)}${isEnd ? ' end' : ''}`);
  }
  onHeadTooLarge(stream: H2Stream, isEnd: boolean): void {
    this.streams.push(stream);
    this.#event('too-large', stream, isEnd ? 'end' : '');
  }
  onInformational(stream: H2Stream): void {
    this.#event('informational', stream, `${stream.pseudo.status}${fieldText(stream.headers)}`);
  }
  onData(stream: H2Stream, buf: Uint8Array, start: number, end: number): void {
    this.lastData = buf.subarray(start, end);
    // However it was split, it is one run of content.
    if (this.lines.at(-1) !== this.#run || this.#runId !== stream.id) {
      this.#runId = stream.id;
      this.#runText = '';
      this.#runBytes = 0;
      this.lines.push('');
    }
    this.#runBytes += end - start;
    if (this.#runBytes <= SHOWN_BYTES) this.#runText += decodeLatin1(buf, start, end);
    const shown = this.#runBytes > SHOWN_BYTES ? `(${this.#runBytes})` : this.#runText;
    this.#run = `data ${stream.id} ${shown}`;
    this.lines[this.lines.length - 1] = this.#run;
    if (this.#options.consumes !== false) stream.consumed(end - start);
    this.#options.act?.('data', stream, this);
  }
  onEnd(stream: H2Stream, trailers: HeaderList | null): void {
    this.lastTrailers = trailers === null ? '' : fieldText(trailers).trim();
    this.#event('end', stream, trailers === null ? '' : `trailers${fieldText(trailers)}`);
  }
  onWritable(stream: H2Stream): void {
    this.#event('writable', stream, '');
  }
  onReset(stream: H2Stream, code: number, isByPeer: boolean, isUnprocessed: boolean): void {
    const marks = `${isByPeer ? 'by-peer' : 'by-us'}${isUnprocessed ? ' unprocessed' : ''}`;
    this.#event('reset', stream, `${h2ErrorName(code)} ${marks}`);
  }
  onGoAway(lastStreamId: number, code: number): void {
    this.#event('goaway', null, `${lastStreamId} ${h2ErrorName(code)}`);
  }
  onSettings(): void {
    this.#options.act?.('settings', null, this);
  }
  onPong(payload: number): void {
    this.#event('pong', null, String(payload));
  }
  onFailure(code: H2ErrorCode, detail: string): void {
    this.#event('failure', null, `${h2ErrorName(code)}: ${detail}`);
  }
  onDrained(): void {
    this.#event('drained', null, '');
  }

  #event(name: string, stream: H2Stream | null, text: string): void {
    const id = stream === null ? '' : ` ${stream.id}`;
    this.lines.push(`${name}${id} ${text}`.trimEnd());
    this.#options.act?.(name, stream, this);
  }
}

/** Decodes what a session wrote into lines. */
class FrameLines implements FrameHandler {
  readonly isDead = false;
  readonly #lines: string[];
  readonly #reader = new FrameReader(this, false);
  readonly #decoder = new HpackDecoder();
  #data = '';
  #octets = 0;

  constructor(lines: string[]) {
    this.#lines = lines;
  }

  receive(octets: Uint8Array): void {
    this.#reader.receive(octets, 0, octets.length);
  }
  onFrameHeader(type: number, flags: number, streamId: number): boolean {
    if (type === FrameType.DATA) {
      this.#data = `DATA ${streamId}${(flags & 1) !== 0 ? ' end' : ''}`;
      this.#octets = 0;
    }
    return true;
  }
  onDataOctets(_buf: Uint8Array, start: number, end: number): void {
    this.#octets += end - start;
  }
  onDataEnd(): void {
    this.#push(`${this.#data} (${this.#octets})`);
  }
  onPaddingInvalid(): void {
    this.#push('invalid padding');
  }
  onPrefaceInvalid(): void {
    this.#push('invalid preface');
  }
  onFrame(type: number, flags: number, id: number, buf: Uint8Array, start: number, end: number): void {
    switch (type) {
      case FrameType.HEADERS: {
        const fields = new FieldCollector();
        this.#decoder.decode(buf, start, end, true, fields);
        const text = fields.fields.map(([name, value]) => `${name}=${value}`).join(' ');
        return this.#push(`HEADERS ${id} ${text}${(flags & 1) !== 0 ? ' end' : ''}`);
      }
      case FrameType.RST_STREAM:
        return this.#push(`RST_STREAM ${id} ${h2ErrorName(readUint32(buf, start))}`);
      case FrameType.GOAWAY:
        return this.#push(`GOAWAY ${readUint31(buf, start)} ${h2ErrorName(readUint32(buf, start + 4))}`);
      case FrameType.WINDOW_UPDATE:
        return this.#push(`WINDOW_UPDATE ${id} ${readUint31(buf, start)}`);
      case FrameType.PING:
        return this.#push(`PING ${readUint32(buf, start + 4)}${(flags & 1) !== 0 ? ' ack' : ''}`);
      case FrameType.SETTINGS:
        return this.#push(`SETTINGS${(flags & 1) !== 0 ? ' ack' : ''}`);
      default:
        this.#push(`frame ${type} ${id}`);
    }
  }
  #push(line: string): void {
    this.#lines.push(`< ${line}`);
  }
}

function fieldText(list: HeaderList): string {
  let text = '';
  list.forEach((name, value) => {
    text += ` ${name}=${value}`;
  });
  return text;
}
