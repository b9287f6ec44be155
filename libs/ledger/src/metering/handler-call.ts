import type { ExecutionContext } from '@nestjs/common';
import { AsyncResource } from 'node:async_hooks';
import { isObservable, Observable } from 'rxjs';
import type { OpenCall } from '../ports/open-call.interface.js';
import { isPlainPromise, isThenable } from './is-thenable.js';
import type { UsageCall, UsageDraft, UsageEnd, UsageGuarantee } from './usage-call.interface.js';
import { draftOf } from './usage.decorator.js';
import type { UsagePlan } from './usage-plan.js';
import { isIteration, watchIteration } from './watch-iteration.js';

type Method = (...args: never[]) => unknown;

const UNTIL = { room: 'queued', durable: 'durable', commit: 'committed' } as const;

/**
 * One call of a decorated method. It observes the method's result and passes it on. Its mapper runs
 * at the first `settle`.
 *
 * This class is for calls that end with the method or with the stream it returned. A call over HTTP
 * ends with its response, see `HttpHandlerCall`.
 *
 * @internal
 */
export class HandlerCall implements OpenCall {
  before: OpenCall | undefined;
  after: OpenCall | undefined;
  isListed = false;
  protected readonly guarantee: UsageGuarantee;
  /** The guarantee if no caller can be made to wait. */
  protected readonly unheld: 'record' | 'room';
  protected failure: { readonly error: unknown } | undefined;
  protected last: { readonly value: unknown } | undefined;
  /** The method's arguments, and the draft that it fills. */
  protected args: readonly unknown[] = [];
  private draft: UsageDraft | undefined;
  private isSettled = false;
  private active: object | undefined;
  /** Running invocations of the method. Their end completes the draft. */
  private running = 0;
  private isLeft = false;
  private readonly startedMs = Date.now();
  private readonly started = performance.now();
  /** The mapper runs in the method's async context, even if the end is observed in another one. */
  private scope: AsyncResource | undefined;

  /**
   * @param given Nest's context; undefined outside its pipeline, and over HTTP until it is
   * requested
   */
  constructor(
    protected readonly plan: UsagePlan,
    private readonly given: ExecutionContext | undefined,
  ) {
    const { overflow, isJournaled = false } = plan.ledger;
    this.unheld = overflow === 'block' ? 'room' : 'record';
    this.guarantee = plan.guarantee ?? (isJournaled ? 'durable' : this.unheld);
    if (plan.guarantee !== undefined) this.unheld = plan.guarantee === 'record' ? 'record' : 'room';
    plan.ledger.openCalls?.add(this);
  }

  get context(): ExecutionContext | undefined {
    return this.given;
  }

  /**
   * True while an interceptor observes the call, so that neither another one nor the method does.
   */
  get isActive(): boolean {
    return this.active !== undefined;
  }

  protected get isRunning(): boolean {
    return this.running > 0;
  }

  /** The draft is read at the end, because the caller may pass another object to the method. */
  protected get usage(): UsageDraft {
    return this.draft ?? (this.context ? draftOf(this.context) : {});
  }

  /**
   * Calls the method, and observes its result unless an interceptor already does.
   *
   * @returns the method's result; a promise that waits if the guarantee requires it
   */
  run(method: Method, self: unknown, args: unknown[], draft: UsageDraft | undefined): unknown {
    this.args = args;
    this.draft = draft;
    this.running += 1;
    if (!this.isActive) this.failure = this.last = undefined;
    let made: unknown;
    try {
      made = Reflect.apply(method, self, args);
    } catch (error) {
      this.threw(error);
      throw error;
    }
    if (isPlainPromise(made) || (this.context !== undefined && isThenable(made))) {
      this.keepScope();
      return made.then(
        (value) => this.returned(value, true),
        (error: unknown) => {
          this.threw(error);
          throw error;
        },
      );
    }
    return this.returned(made, this.context !== undefined);
  }

  private threw(error: unknown): void {
    this.running -= 1;
    if (!this.isActive) this.failure = { error };
    if (this.concludeLate()) return;
    if (!this.isActive) this.failed();
  }

  private returned(value: unknown, canHold: boolean): unknown {
    this.running -= 1;
    if (this.isActive) {
      this.last ??= { value };
      this.concludeLate();
      return value;
    }
    if (isObservable(value)) return this.concludeLate() ? value : this.observeReturned(value);
    this.last = { value };
    if (this.concludeLate()) return value;
    if (this.watchesIterations && isIteration(value)) return this.iterate(value);
    this.emitted(value);
    const held = this.completed();
    return held && canHold ? held.then(() => value) : value;
  }

  /** Whether the method's stream is observed here, and not through its response. */
  protected get watchesIterations(): boolean {
    return true;
  }

  private observeReturned(source: Observable<unknown>): Observable<unknown> {
    // A subject is shared by all its subscribers, and the caller may compare it by identity.
    if (!('next' in source)) {
      this.rest();
      return this.observe(source);
    }
    source.subscribe({
      next: (value) => (this.last = { value }),
      error: (error: unknown) => {
        this.failure = { error };
        this.failed();
      },
      complete: () => void this.completed(),
    });
    return source;
  }

  /** The stream does not run before it is read. */
  protected rest(): void {
    this.plan.ledger.openCalls?.delete(this);
  }

  /** Nothing more will be recorded. */
  protected closed(): void {
    this.plan.ledger.openCalls?.delete(this);
  }

  private resume(): void {
    if (!this.isSettled) this.plan.ledger.openCalls?.add(this);
  }

  private iterate(source: object): unknown {
    this.keepScope();
    this.rest();
    return watchIteration(source, {
      opened: () => this.resume(),
      next: (value) => (this.last = { value }),
      failed: (error) => {
        this.failure = { error };
        this.failed();
      },
      done: () => this.completed(),
      left: () => this.left(),
    });
  }

  /**
   * Passes a handler's values on at once and delays only its completion, which Nest waits for. May
   * be called again for the same request (an outer `retry()`).
   */
  observe(source: Observable<unknown>): Observable<unknown> {
    this.keepScope();
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

  /**
   * The handler has ended. Returns a promise that its completion waits for, and that never rejects.
   */
  protected completed(): Promise<void> | undefined {
    return this.settle('completed');
  }

  protected failed(): void {
    void this.settle('failed');
  }

  /** The handler has no subscriber left. If it still runs, its draft is not complete yet. */
  protected left(): void {
    if (this.isRunning) this.isLeft = true;
    else void this.settle('aborted');
  }

  /** The method has ended: continues what waited for it. @returns whether anything waited */
  protected concludeLate(): boolean {
    if (!this.isLeft || this.isRunning) return false;
    void this.settle('aborted');
    return true;
  }

  abort(): void {
    void this.settle('aborted', 'record');
  }

  /** Called in the method's async context if the end may be observed in another one. */
  protected keepScope(): void {
    this.scope ??= new AsyncResource('RecordUsage');
  }

  /**
   * Runs the mapper and records its entries, the first time only.
   *
   * @param wait the guarantee; all but `record` return a promise that never rejects
   */
  protected settle(
    end: UsageEnd,
    wait: UsageGuarantee = this.guarantee,
  ): Promise<void> | undefined {
    if (this.isSettled) return undefined;
    this.isSettled = true;
    const made = this.scope ? this.scope.runInAsyncScope(() => this.map(end)) : this.map(end);
    const held = this.record(made, wait);
    if (held) void held.then(() => this.closed());
    else this.closed();
    return held;
  }

  private record(made: unknown, wait: UsageGuarantee): Promise<void> | undefined {
    if (made === null || made === undefined) return undefined;
    const entries: readonly unknown[] | undefined = Array.isArray(made) ? made : undefined;
    if (wait === 'durable' && this.plan.guarantee === undefined) return this.recordDurably(made);
    if (wait !== 'record') return this.recordAndWait(entries ?? [made], wait);
    try {
      if (entries) this.plan.ledger.recordMany(entries);
      else this.plan.ledger.record(made);
    } catch (error) {
      this.plan.log.notGuaranteed(this.plan.handler, error);
    }
    return undefined;
  }

  /** The guarantee is only the default, so a failing disk delays no response. */
  private recordDurably(made: unknown): Promise<void> | undefined {
    const { ledger } = this.plan;
    const placed = this.record(made, this.unheld);
    return placed ? placed.then(() => ledger.untilDurable?.()) : ledger.untilDurable?.();
  }

  private map(end: UsageEnd): unknown {
    try {
      const made = this.plan.mapper(this.callAt(end));
      if (!isThenable(made)) return made;
      // The promise is not awaited, and its rejection must not end the process.
      made.then(undefined, () => undefined);
      throw new TypeError('it returned a promise; a mapper must be synchronous');
    } catch (error) {
      this.plan.ledger.countMapperError(error);
      this.plan.log.mapperFailed(this.plan.handler, error);
      return null;
    }
  }

  private callAt(end: UsageEnd): UsageCall<unknown> {
    return {
      context: this.context,
      args: this.args,
      end,
      result: this.last?.value,
      error: this.failure?.error,
      usage: this.usage,
      startedAt: new Date(this.startedMs),
      durationMs: performance.now() - this.started,
    };
  }

  /** All of them at once, because an entry without room must not delay the others. */
  private async recordAndWait(
    entries: readonly unknown[],
    wait: Exclude<UsageGuarantee, 'record'>,
  ): Promise<void> {
    const until = UNTIL[wait];
    await Promise.all(
      entries.map(async (entry) => {
        try {
          await this.plan.ledger.recordAndWait(entry, { until });
        } catch (error) {
          // The response is sent anyway; the ledger has counted the loss.
          this.plan.log.notGuaranteed(this.plan.handler, error);
        }
      }),
    );
  }

  private begin(watch: object): void {
    this.active = watch;
    this.failure = undefined;
    this.last = undefined;
    this.resume();
  }

  /** Before the subscriber is notified, because a `retry()` subscribes again at once. */
  private stop(watch: object): void {
    if (this.active === watch) this.active = undefined;
  }

  private complete(watch: object, tell: () => void): void {
    this.stop(watch);
    tell();
  }
}
