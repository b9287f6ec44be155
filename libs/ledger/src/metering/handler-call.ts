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
 * One call of a decorated method. It watches what the method returns and passes it on; its mapper
 * runs when `settle` is called for the first time.
 *
 * This class is for calls that end with the method, or with the stream that it returned; one over
 * HTTP ends with its response, see `HttpHandlerCall`.
 *
 * @internal
 */
export class HandlerCall implements OpenCall {
  before: OpenCall | undefined;
  after: OpenCall | undefined;
  isListed = false;
  protected readonly guarantee: UsageGuarantee;
  /** What is waited for where nobody can be held. */
  protected readonly unheld: 'record' | 'room';
  protected failure: { readonly error: unknown } | undefined;
  protected last: { readonly value: unknown } | undefined;
  /** What the method got, and the object that it fills. */
  protected args: readonly unknown[] = [];
  private draft: UsageDraft | undefined;
  private isSettled = false;
  private active: object | undefined;
  /** Runs of the method that have not returned. Their end completes the draft. */
  private running = 0;
  private isLeft = false;
  private readonly startedMs = Date.now();
  private readonly started = performance.now();
  /** The mapper gets the method's own async context back where another one hears of the end. */
  private scope: AsyncResource | undefined;

  /** @param given Nest's context; undefined outside of its pipeline, and over HTTP where nobody asked */
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

  /** True while an interceptor watches: another one need not, nor the method itself. */
  get isActive(): boolean {
    return this.active !== undefined;
  }

  protected get isRunning(): boolean {
    return this.running > 0;
  }

  /** The draft is read at the end: a method may be handed another object by its caller. */
  protected get usage(): UsageDraft {
    return this.draft ?? (this.context ? draftOf(this.context) : {});
  }

  /**
   * Calls the method, and watches what it returns unless an interceptor does that already.
   *
   * @returns what the method returned; a promise that is held, where the guarantee asks for it
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

  /** Whether a stream that the method returns is watched here, and not by its response. */
  protected get watchesIterations(): boolean {
    return true;
  }

  private observeReturned(source: Observable<unknown>): Observable<unknown> {
    // A subject is one for all who listen, and the caller may know it by identity.
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

  /** Nothing is under way before somebody reads. */
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
   * Passes a handler's values on as they come and holds no more than its completion, which is what
   * Nest waits for. May be called again for the same request (an outer `retry()`).
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

  /** The handler is done. Returns what its completion waits for, never to reject. */
  protected completed(): Promise<void> | undefined {
    return this.settle('completed');
  }

  protected failed(): void {
    void this.settle('failed');
  }

  /** Nobody listens to the handler any more. If it still runs, its draft is not complete yet. */
  protected left(): void {
    if (this.isRunning) this.isLeft = true;
    else void this.settle('aborted');
  }

  /** The method has ended, and whatever waits for that goes on. @returns whether anything did */
  protected concludeLate(): boolean {
    if (!this.isLeft || this.isRunning) return false;
    void this.settle('aborted');
    return true;
  }

  abort(): void {
    void this.settle('aborted', 'record');
  }

  /** To be called in the method's own async context, if another one may hear of the end. */
  protected keepScope(): void {
    this.scope ??= new AsyncResource('RecordUsage');
  }

  /**
   * Runs the mapper and records what it makes, the first time only.
   *
   * @param wait what to wait for; all but `record` return a promise that never rejects
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

  /** Nobody asked for it by name: a disk that refuses holds no response. */
  private recordDurably(made: unknown): Promise<void> | undefined {
    const { ledger } = this.plan;
    const placed = this.record(made, this.unheld);
    return placed ? placed.then(() => ledger.untilDurable?.()) : ledger.untilDurable?.();
  }

  private map(end: UsageEnd): unknown {
    try {
      const made = this.plan.mapper(this.callAt(end));
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

  /** All of them at once: an entry that finds no room must not keep the next from asking. */
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
    this.resume();
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
