import type { ExecutionContext } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import { realTimers } from '../clock/real-timers.js';
import { callOf, setCall } from './call-in-progress.js';
import type { ConnectionWatch } from './connection-watch.js';
import { HandlerCall } from './handler-call.js';
import { watchesHeaders } from './response-headers.js';
import {
  isGone,
  isMultiplexed,
  watchConnection,
  whenOver,
  type RawExchange,
  type RawResponse,
} from './response-over.js';
import { isWebResponse, streamFailureOf, streamOf, watchIterable } from './result-stream.js';
import { RouteContext } from './route-context.js';
import type { UsageDraft, UsageEnd } from './usage-call.interface.js';
import { draftOnResponse } from './usage.decorator.js';
import type { UsagePlan } from './usage-plan.js';

/**
 * Milliseconds that a method has to complete its draft after its client has left. Limited, because
 * it may wait forever for that client.
 */
const GONE_MS = 1000;

/**
 * A call over HTTP. It is settled by the first of these events: the completion of a plain result if
 * its response has to wait; the headers of a plain result; the end or close of the response. So a
 * client that hangs up, an outer interceptor that answers instead of the handler and an exception
 * filter all lead to one call of the mapper. If the response ends while the method still runs, the
 * method's end settles the call.
 *
 * @internal
 */
export class HttpHandlerCall extends HandlerCall {
  private readonly request: IncomingMessage;
  private readonly response: RawResponse;
  private own: ExecutionContext | undefined;
  private stream: object | undefined;
  private stopWatching: (() => void) | undefined;
  private readonly connection: ConnectionWatch | undefined;
  private isWatchingEnd = false;
  /**
   * The status at the handler's last value; a later status of 400 or above was not set by the
   * handler.
   */
  private status = 0;
  /** Whether the response reports its headers. */
  private readonly isHooked: boolean;
  /** How the response ended while the method still ran. */
  private late: UsageEnd | undefined;
  private patience: NodeJS.Timeout | undefined;

  /** The response's existing call, or a new one. */
  static of(plan: UsagePlan, exchange: RawExchange, context?: ExecutionContext): HttpHandlerCall {
    return callOf(exchange.response) ?? new HttpHandlerCall(plan, exchange, context);
  }

  private constructor(
    plan: UsagePlan,
    private readonly exchange: RawExchange,
    context: ExecutionContext | undefined,
  ) {
    super(plan, undefined);
    this.own = context;
    this.request = exchange.request;
    this.response = exchange.response;
    setCall(this.response, this);
    this.isHooked = plan.mode === 'plain' && watchesHeaders(this.response);
    // A plain response is observed by its headers, or by the connection if there are none.
    const isPlain = this.isHooked && context === undefined && !isMultiplexed(this.request);
    if (!isPlain || isGone(this.request) || this.response.destroyed) this.watchEnd();
    else this.connection = watchConnection(this.request, () => this.over(false));
  }

  override get context(): ExecutionContext {
    return (this.own ??= new RouteContext(
      this.plan,
      this.exchange.nestRequest,
      this.exchange.nestResponse,
    ));
  }

  protected override get usage(): UsageDraft {
    return draftOnResponse(this.response);
  }

  /** A stream that the method returns ends with its response. */
  protected override get watchesIterations(): boolean {
    return false;
  }

  /** Called just before the headers are written. */
  headers(status: number): void {
    if (!this.isPlain || this.failure || isGone(this.request)) return;
    // Something else answers, for example a time limit.
    if (this.isRunning) this.late ??= 'failed';
    else void this.settle(this.endAt(status), this.lateWait);
  }

  protected override emitted(value: unknown): void {
    if (!this.isAnsweredByNest) return;
    this.status = isWebResponse(value) ? value.status : this.response.statusCode;
    const stream = streamOf(value);
    if (stream && stream !== this.stream) {
      this.stopWatching?.();
      this.stopWatching = watchIterable(stream, (error) => (this.failure = { error }));
      this.watchEnd();
    }
    this.stream = stream;
  }

  protected override completed(): Promise<void> | undefined {
    if (!this.isHeld || !this.last || isGone(this.request)) return undefined;
    const isPassthrough = this.plan.mode === 'passthrough';
    if (this.guarantee === 'record' && (this.isHooked || isPassthrough)) return undefined;
    return this.settle('completed');
  }

  /** Later interceptors and filters decide whether an error ends the request. */
  protected override failed(): void {
    this.watchEnd();
  }

  /**
   * An outer interceptor has continued without the handler, or the client has left; `over` reports
   * which.
   */
  protected override left(): void {}

  /** Nest reads the stream at once, so the call stays open. */
  protected override rest(): void {}

  protected override closed(): void {
    this.connection?.end();
    super.closed();
  }

  protected override concludeLate(): boolean {
    if (this.late === undefined || this.isRunning) return false;
    realTimers.clearTimeout(this.patience);
    const isFailure = this.late === 'completed' && this.failure !== undefined;
    void this.settle(isFailure ? 'failed' : this.late, this.lateWait);
    return true;
  }

  private watchEnd(): void {
    if (this.isWatchingEnd) return;
    this.isWatchingEnd = true;
    this.keepScope();
    this.connection?.end();
    whenOver(this.exchange, (isFinished) => this.over(isFinished));
  }

  private over(isFinished: boolean): void {
    this.stopWatching?.();
    if (this.stream) this.failure ??= streamFailureOf(this.stream);
    if (this.response.errored) this.failure ??= { error: this.response.errored };
    const cut = this.failure ? 'failed' : 'aborted';
    const end = isFinished ? this.endAt(this.response.statusCode) : cut;
    if (!this.isRunning) return void this.settle(end, this.lateWait);
    this.late ??= end;
    // A handler that answers by hand may continue after its answer, and so may one whose client no
    // longer reads.
    if (isFinished && this.isAnsweredByNest) return;
    this.patience ??= realTimers
      .setTimeout(() => void this.settle(this.late!, this.lateWait), GONE_MS)
      .unref();
  }

  private endAt(status: number): UsageEnd {
    if (this.failure) return 'failed';
    if (!this.isAnsweredByNest) return 'completed';
    const isReplaced = status >= 400 && status !== this.status;
    return this.last && !isReplaced ? 'completed' : 'failed';
  }

  /** The response no longer waits, so the call can wait for room but not for a commit. */
  private get lateWait(): 'record' | 'room' {
    return this.unheld;
  }

  private get isAnsweredByNest(): boolean {
    return this.plan.mode === 'plain' || this.plan.mode === 'passthrough';
  }

  /** Nest has the result and has sent no part of the response, so it can wait. */
  private get isHeld(): boolean {
    if (this.isPlain) return true;
    const hasBegun = this.response.headersSent || this.response.writableEnded;
    return this.plan.mode === 'passthrough' && !this.stream && !hasBegun;
  }

  private get isPlain(): boolean {
    return this.plan.mode === 'plain' && !this.stream;
  }
}
