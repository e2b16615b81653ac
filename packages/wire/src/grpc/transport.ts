/**
 * The streams that xDS and other gRPC users talk through, whatever carries them.
 *
 * Types only: implementations own sockets and live with the I/O of the proxy and of the control plane.
 * Contract of every implementation: messages are whole and unframed, a Uint8Array handed over belongs to
 * the receiver; `onStatus` / `onEnd` is the last call of a stream and comes exactly once; nothing throws
 * for a peer's mistake.
 */

/** Request or response metadata: lower-case names, byte-string values; several values keep their order. */
export type GrpcMetadata = ReadonlyArray<readonly [name: string, value: string]>;

export interface GrpcStreamSink {
  onMessage(message: Uint8Array): void;
  /**
   * The stream is over, by the server's trailers or because the transport failed (then UNAVAILABLE or
   * CANCELLED, `trailers` empty). `code` is a gRPC status code, `message` already percent-decoded.
   */
  onStatus(code: number, message: string, trailers: GrpcMetadata): void;
  /** Room to send again after `send` returned false. */
  onDrain?(): void;
}

export interface GrpcClientStream {
  /** Queues a message. False if the transport's buffer is full: wait for `onDrain`. Ignored once the stream is over. */
  send(message: Uint8Array): boolean;
  /** No more messages from us; the server's may still come. */
  halfClose(): void;
  /** Gives the stream up: `onStatus` follows with CANCELLED. */
  cancel(): void;
}

export interface GrpcStreamTransport {
  /** Opens a stream on `path` (`/package.Service/Method`), connecting if need be; failure comes as `onStatus`. */
  open(path: string, metadata: GrpcMetadata, sink: GrpcStreamSink): GrpcClientStream;
}

/** What a server knows about the peer of a stream. */
export interface GrpcPeer {
  /** `host:port`, or the path of a Unix socket. */
  readonly address: string;
  /** URI SAN of a verified client certificate. */
  readonly spiffeId?: string;
  /** DER, the leaf first, as the client presented it: that it holds the leaf's key is proven, whom to trust is not judged. */
  readonly certificateChain?: readonly Uint8Array[];
}

export interface GrpcServerStream {
  readonly path: string;
  readonly metadata: GrpcMetadata;
  readonly peer: GrpcPeer;
  /** As GrpcClientStream.send. `isFollowed`: another message comes at once, and both may leave together. */
  send(message: Uint8Array, isFollowed?: boolean): boolean;
  /** Ends the stream with a status; `message` is percent-encoded by the transport. */
  end(code: number, message?: string, trailers?: GrpcMetadata): void;
}

export interface GrpcServerStreamSink {
  onMessage(message: Uint8Array): void;
  /** The client sends no more. */
  onHalfClose(): void;
  /** The stream is over from the client's side or by failure; not called after `end`. */
  onCancelled(): void;
  onDrain?(): void;
}

/** Serves one method; called once per stream. */
export type GrpcHandler = (stream: GrpcServerStream) => GrpcServerStreamSink;

/** Handlers by path. A path without one is answered with UNIMPLEMENTED. */
export type GrpcHandlers = ReadonlyMap<string, GrpcHandler>;
