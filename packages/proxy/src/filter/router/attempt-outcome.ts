/**
 * Counts at the endpoint whether an attempt succeeded. A gRPC call is judged by its status, which stands in
 * the head of a reply of trailers only and in the trailers of any other, so its judgement may have to wait.
 */
import { httpStatusOfGrpc, type HeaderList } from '@sluice/wire';
import type { Endpoint } from '../../cluster/cluster.ts';
import { grpcStatusIn } from '../../telemetry/grpc-status.ts';

export class AttemptOutcome {
  isGrpc = false;
  #isOpen = false;

  onHead(endpoint: Endpoint, status: number, headers: HeaderList, isEnd: boolean): void {
    const grpcStatus = this.isGrpc ? grpcStatusIn(headers) : -1;
    this.#isOpen = this.isGrpc && grpcStatus < 0 && status === 200 && !isEnd;
    if (!this.#isOpen) count(endpoint, grpcStatus < 0 ? status : httpStatusOfGrpc(grpcStatus));
  }

  /** A call that ended without a status has failed. */
  onEnd(endpoint: Endpoint, trailers: HeaderList | null): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    const grpcStatus = trailers === null ? -1 : grpcStatusIn(trailers);
    count(endpoint, grpcStatus < 0 ? 500 : httpStatusOfGrpc(grpcStatus));
  }
}

function count({ stats }: Endpoint, httpStatus: number): void {
  if (httpStatus >= 500) stats.errors++;
  else stats.successes++;
}
