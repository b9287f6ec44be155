import type { ExecutionContext } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import { HandlerCall, type UsagePlan } from './handler-call.js';
import {
  beforeHeaders,
  isGone,
  whenOver,
  type RawExchange,
  type RawResponse,
} from './response-over.js';
import { isWebResponse, streamFailureOf, streamOf, watchIterable } from './result-stream.js';
import type { UsageEnd } from './usage-call.interface.js';

/**
 * A call over HTTP. It is settled by whichever of these comes first: a plain result's completion
 * if its response is to be held; a plain result's headers; the response that has finished or
 * closed. So a client that hangs up, an outer interceptor that answers in the handler's place and
 * an exception filter all end in one call of the mapper.
 *
 * @internal
 */
export class HttpHandlerCall extends HandlerCall {
  private readonly request: IncomingMessage;
  private readonly response: RawResponse;
  private stream: object | undefined;
  private stopWatching = (): void => undefined;
  /** The status at the handler's last value; one of 400 and above that came later isn't its own. */
  private status = 0;
  /** Whether the response will tell of its headers; undefined until asked. */
  private isHooked: boolean | undefined;

  constructor(context: ExecutionContext, plan: UsagePlan, exchange: RawExchange) {
    super(context, plan);
    this.request = exchange.request;
    this.response = exchange.response;
    whenOver(exchange, (isFinished) => this.over(isFinished));
  }

  protected override emitted(value: unknown): void {
    if (!this.isAnsweredByNest) return;
    this.status = isWebResponse(value) ? value.status : this.response.statusCode;
    const stream = streamOf(value);
    if (stream && stream !== this.stream) {
      this.stopWatching();
      this.stopWatching = watchIterable(stream, (error) => (this.failure = { error }));
    }
    this.stream = stream;
    if (this.isPlain) this.isHooked ??= beforeHeaders(this.response, (s) => this.headers(s));
  }

  protected override completed(): Promise<void> | undefined {
    if (!this.isPlain || !this.last || isGone(this.request)) return undefined;
    if (this.guarantee === 'record' && this.isHooked) return undefined;
    return this.settle('completed');
  }

  /** Whether an error ends the request is for the interceptors and filters that follow to say. */
  protected override failed(): void {}

  /** An outer interceptor has gone on without the handler, or the client has left: `over` tells. */
  protected override left(): void {}

  private headers(status: number): void {
    if (!this.isPlain || this.failure || isGone(this.request)) return;
    void this.settle(this.endAt(status), this.lateWait);
  }

  private over(isFinished: boolean): void {
    this.stopWatching();
    if (this.stream) this.failure ??= streamFailureOf(this.stream);
    if (this.response.errored) this.failure ??= { error: this.response.errored };
    const cut = this.failure ? 'failed' : 'aborted';
    void this.settle(isFinished ? this.endAt(this.response.statusCode) : cut, this.lateWait);
  }

  private endAt(status: number): UsageEnd {
    if (this.failure) return 'failed';
    if (!this.isAnsweredByNest) return 'completed';
    const isReplaced = status >= 400 && status !== this.status;
    return this.last && !isReplaced ? 'completed' : 'failed';
  }

  /** The response no longer waits: there is room to wait for, but no commit. */
  private get lateWait(): 'record' | 'room' {
    return this.guarantee === 'record' ? 'record' : 'room';
  }

  private get isAnsweredByNest(): boolean {
    return this.plan.mode === 'plain' || this.plan.mode === 'passthrough';
  }

  private get isPlain(): boolean {
    return this.plan.mode === 'plain' && !this.stream;
  }
}
