import type { ExecutionContext } from '@nestjs/common';
import { AsyncResource } from 'node:async_hooks';
import { Observable } from 'rxjs';
import type { ResponseMode } from './response-mode.js';
import type { UsageCall, UsageEnd, UsageGuarantee } from './usage-call.interface.js';
import { draftOf } from './usage.decorator.js';
import type { UsageLog } from './usage-log.js';
import type { UsageRecorder } from '../ports/usage-recorder.interface.js';

/** All that is known of a decorated handler before it is called. @internal */
export interface UsagePlan {
  /** `Controller.method`, for the log. */
  readonly handler: string;
  readonly mapper: (call: UsageCall<unknown>) => unknown;
  readonly ledger: UsageRecorder;
  /** What the decorator says; undefined leaves it to the ledger's `overflow`. */
  readonly guarantee: UsageGuarantee | undefined;
  readonly mode: ResponseMode;
  readonly log: UsageLog;
}

/**
 * One call of a decorated handler. It watches what the handler emits, and passes it on unchanged;
 * its mapper runs when `settle` is called for the first time.
 *
 * This class is for calls that end with the handler (RPC, WebSockets, GraphQL); one over HTTP ends
 * with its response, see `HttpHandlerCall`.
 *
 * @internal
 */
export class HandlerCall {
  protected readonly guarantee: UsageGuarantee;
  protected failure: { readonly error: unknown } | undefined;
  protected last: { readonly value: unknown } | undefined;
  private isSettled = false;
  private active: object | undefined;
  private readonly startedAt = new Date();
  private readonly started = performance.now();
  /** The response's events come in a foreign context: the mapper gets the handler's own back. */
  private readonly scope = new AsyncResource('RecordUsage');

  constructor(
    protected readonly context: ExecutionContext,
    protected readonly plan: UsagePlan,
  ) {
    this.guarantee = plan.guarantee ?? (plan.ledger.overflow === 'block' ? 'room' : 'record');
  }

  /** True while the handler is being watched: another interceptor need not. */
  get isActive(): boolean {
    return this.active !== undefined;
  }

  /**
   * Passes a handler's values on as they come and holds no more than its completion, which is what
   * Nest waits for. May be called again for the same request (an outer `retry()`).
   */
  observe(source: Observable<unknown>): Observable<unknown> {
    return new Observable((subscriber) => {
      const watch = {};
      this.begin(watch);
      const inner = source.subscribe({
        next: (value) => {
          this.last = { value };
          this.emitted(value);
          subscriber.next(value);
        },
        error: (error: unknown) => {
          this.failure = { error };
          this.stop(watch);
          this.failed();
          subscriber.error(error);
        },
        complete: () => {
          const held = this.completed();
          if (!held) return this.complete(watch, () => subscriber.complete());
          void held.then(() => this.complete(watch, () => subscriber.complete()));
        },
      });
      return () => {
        inner.unsubscribe();
        if (this.active === watch) {
          this.stop(watch);
          this.left();
        }
      };
    });
  }

  /** A value came. */
  protected emitted(_value: unknown): void {}

  /** The handler is done. Returns what its completion waits for, never to reject. */
  protected completed(): Promise<void> | undefined {
    return this.settle('completed');
  }

  protected failed(): void {
    void this.settle('failed');
  }

  /** Nobody listens to the handler any more. */
  protected left(): void {
    void this.settle('aborted');
  }

  /**
   * Runs the mapper and records what it makes, the first time only.
   *
   * @param wait what to wait for; `room` and `commit` return a promise that never rejects
   */
  protected settle(
    end: UsageEnd,
    wait: UsageGuarantee = this.guarantee,
  ): Promise<void> | undefined {
    if (this.isSettled) return undefined;
    this.isSettled = true;
    const made = this.scope.runInAsyncScope(() => this.map(end));
    if (made === null || made === undefined) return undefined;
    const entries: readonly unknown[] | undefined = Array.isArray(made) ? made : undefined;
    if (wait !== 'record') return this.recordAndWait(entries ?? [made], wait);
    try {
      if (entries) this.plan.ledger.recordMany(entries);
      else this.plan.ledger.record(made);
    } catch (error) {
      this.plan.log.notGuaranteed(this.plan.handler, error);
    }
    return undefined;
  }

  private map(end: UsageEnd): unknown {
    try {
      const made = this.plan.mapper({
        context: this.context,
        end,
        result: this.last?.value,
        error: this.failure?.error,
        usage: draftOf(this.context),
        startedAt: this.startedAt,
        durationMs: performance.now() - this.started,
      });
      if (!isThenable(made)) return made;
      // Nothing may wait for it; nor may its rejection end the process.
      made.then(undefined, () => undefined);
      throw new TypeError('it returned a promise; a mapper must be synchronous');
    } catch (error) {
      this.plan.ledger.countMapperError(error);
      this.plan.log.mapperFailed(this.plan.handler, error);
      return null;
    }
  }

  /** All of them at once: an entry that finds no room must not keep the next from asking. */
  private async recordAndWait(
    entries: readonly unknown[],
    wait: Exclude<UsageGuarantee, 'record'>,
  ): Promise<void> {
    const until = wait === 'commit' ? 'committed' : 'queued';
    await Promise.all(
      entries.map(async (entry) => {
        try {
          await this.plan.ledger.recordAndWait(entry, { until });
        } catch (error) {
          // The response goes out all the same; the ledger has counted what was lost.
          this.plan.log.notGuaranteed(this.plan.handler, error);
        }
      }),
    );
  }

  private begin(watch: object): void {
    this.active = watch;
    this.failure = undefined;
    this.last = undefined;
  }

  /** Before the subscriber hears of it, since a `retry()` subscribes again at once. */
  private stop(watch: object): void {
    if (this.active === watch) this.active = undefined;
  }

  private complete(watch: object, tell: () => void): void {
    this.stop(watch);
    tell();
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}
