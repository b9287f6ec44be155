import type { MessageEvent } from '@nestjs/common';
import { Observable, type Subscriber } from 'rxjs';
import type { AdviceEnvironment } from '../advice/finding.interface.js';
import type { LedgerStats } from '../ports/ledger-stats.interface.js';
import type { FlushListener } from '../writer/batch-writer.js';
import type { Clock, Timer } from '../clock/clock.js';
import type {
  DashboardFrame,
  DashboardHello,
  DashboardNow,
  PackedPoint,
} from './dashboard-frame.interface.js';
import { FeedAdviser } from './feed-adviser.js';
import { FrameMaker, type HealthAnswer } from './frame-maker.js';

/** Milliseconds between two looks at a ledger. */
export const SAMPLE_MS = 1000;
/** Milliseconds of history sent to a page when it connects. */
export const HISTORY_MS = 5 * 60_000;
/** A page that reconnects within this many milliseconds has no gap. */
export const LINGER_MS = 60_000;
/**
 * Milliseconds after which a connection ends, and the page makes a new one. Guards are then checked
 * again, and a page behind a dead network is released.
 */
const CONNECTION_LIMIT_MS = 15 * 60_000;
/** Milliseconds that a browser waits before it reconnects. */
const RETRY_MS = 1000;

/** The ledger as seen by the feed. @internal */
export interface FeedSource {
  stats(): LedgerStats;
  onFlush(listener: FlushListener): () => void;
  /** Settles within a second; never rejects. */
  health(): Promise<HealthAnswer>;
  /** Known facts about machine and server. */
  environment(): AdviceEnvironment;
  /** Called after a failed look; the next one happens anyway. */
  failed(error: unknown): void;
}

/** The part that does not change between frames. @internal */
export type FeedFacts = Pick<DashboardHello, 'ledger' | 'ledgers' | 'build'>;

interface Viewer {
  readonly subscriber: Subscriber<MessageEvent>;
  readonly facts: FeedFacts;
  readonly lastEventId: string | undefined;
  readonly limit: Timer;
  isGreeted: boolean;
}

interface Kept {
  readonly id: number;
  readonly at: number;
  readonly point: PackedPoint;
}

/**
 * The live figures of one ledger, for all viewers. It looks once a second while there is a viewer
 * and for a minute after the last one left; otherwise it costs nothing.
 *
 * @internal
 */
export class DashboardFeed {
  readonly #source: FeedSource;
  readonly #clock: Clock;
  readonly #frames = new FrameMaker();
  readonly #adviser: FeedAdviser;
  readonly #viewers = new Map<Subscriber<MessageEvent>, Viewer>();
  #kept: Kept[] = [];
  /** Undefined until the first look for the present viewers. */
  #now: DashboardNow | undefined;
  #lastId = 0;
  /** Stops looking; undefined without viewers. */
  #stop: (() => void) | undefined;
  #leftAt = 0;
  #isClosed = false;

  constructor(source: FeedSource, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
    this.#adviser = new FeedAdviser(() => source.environment());
  }

  /** Whether the feed is now looking at the ledger. */
  get isRunning(): boolean {
    return this.#stop !== undefined;
  }

  /** Whether the process is stopping, so that nothing more is sent. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * `hello` with the history, then a `frame` each second, and `closing` when the process stops.
   *
   * @param facts sent with `hello`
   * @param lastEventId of the last event that this page received; it only gets later points
   */
  watch(facts: FeedFacts, lastEventId: string | undefined): Observable<MessageEvent> {
    return new Observable((subscriber) => {
      if (this.#isClosed) return this.#sayGoodbye(subscriber);
      const limit = this.#clock.after(CONNECTION_LIMIT_MS, () => subscriber.complete());
      const viewer = { subscriber, facts, lastEventId, limit, isGreeted: false };
      this.#viewers.set(subscriber, viewer);
      if (this.#now !== undefined) this.#greet(viewer, this.#now);
      this.#stop ??= this.#start();
      return () => this.#leave(viewer);
    });
  }

  /** Ends all connections, so that they don't keep the HTTP server open. */
  close(): void {
    this.#isClosed = true;
    for (const subscriber of [...this.#viewers.keys()]) this.#sayGoodbye(subscriber);
    this.#stop?.();
  }

  #sayGoodbye(subscriber: Subscriber<MessageEvent>): void {
    subscriber.next({ type: 'closing', data: '{}', id: this.#eventId() });
    subscriber.complete();
  }

  #leave({ subscriber, limit }: Viewer): void {
    limit.cancel();
    this.#viewers.delete(subscriber);
    this.#leftAt = this.#clock.monotonic();
  }

  #greet(viewer: Viewer, now: DashboardNow): void {
    viewer.isGreeted = true;
    const lastId = idWithin(now.run, viewer.lastEventId);
    const hello: DashboardHello = {
      ...viewer.facts,
      sampleMs: SAMPLE_MS,
      historyMs: HISTORY_MS,
      settings: this.#source.stats().settings,
      points: this.#kept.filter(({ id }) => id > lastId).map(({ point }) => point),
      now,
    };
    const data = JSON.stringify(hello);
    viewer.subscriber.next({ type: 'hello', id: this.#eventId(), retry: RETRY_MS, data });
  }

  #eventId(): string {
    return `${this.#source.stats().run}.${this.#lastId}`;
  }

  #start(): () => void {
    let timer: Timer | undefined;
    this.#frames.reset();
    const ignore = this.#source.onFlush((flush) =>
      this.#frames.noteFlush(this.#clock.monotonic(), flush),
    );
    const stop = (): void => {
      timer?.cancel();
      ignore();
      this.#stop = undefined;
      this.#now = undefined;
    };
    const lookAt = (dueAt: number): void => {
      if (this.#stop !== stop) return;
      timer = this.#clock.after(Math.max(0, dueAt - this.#clock.monotonic()), () => {
        if (this.#isForsaken()) stop();
        else void this.#look().then(() => lookAt(this.#after(dueAt)));
      });
    };
    void this.#look().then(() => lookAt(this.#clock.monotonic() + SAMPLE_MS));
    return stop;
  }

  /** The next second in the same rhythm; missed seconds are skipped. */
  #after(dueAt: number): number {
    const late = Math.max(0, this.#clock.monotonic() - dueAt);
    return dueAt + SAMPLE_MS * (1 + Math.floor(late / SAMPLE_MS));
  }

  #isForsaken(): boolean {
    return this.#viewers.size === 0 && this.#clock.monotonic() - this.#leftAt > LINGER_MS;
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    try {
      const frame = await this.#takeFrame();
      if (frame !== undefined) this.#tell(frame);
    } catch (error) {
      this.#source.failed(error);
    }
  }

  /** A viewer who came before the first look is greeted with it. */
  #tell(frame: DashboardFrame): void {
    const event = { type: 'frame', id: this.#eventId(), data: JSON.stringify(frame) };
    for (const viewer of this.#viewers.values()) {
      if (viewer.isGreeted) viewer.subscriber.next(event);
      else this.#greet(viewer, frame.now);
    }
  }

  async #takeFrame(): Promise<DashboardFrame | undefined> {
    const health = await this.#source.health();
    if (this.#isClosed) return undefined;
    const stats = this.#source.stats();
    const elapsed = this.#clock.monotonic();
    const advice = this.#adviser.advise(elapsed, stats);
    const at = this.#clock.now();
    const frame = this.#frames.make({ stats, health, advice, at, elapsed });
    this.#keep(frame);
    return frame;
  }

  #keep({ now, point }: DashboardFrame): void {
    this.#now = now;
    this.#lastId += 1;
    this.#kept.push({ id: this.#lastId, at: now.at, point });
    const oldest = now.at - HISTORY_MS;
    this.#kept = this.#kept.filter(({ at }) => at >= oldest);
  }
}

/** Number of an event of this run; 0 for any other id, which is unrelated to its points. */
function idWithin(run: string, eventId: string | undefined): number {
  const [ofRun, number] = (eventId ?? '').split('.');
  return ofRun === run && /^\d{1,15}$/.test(number ?? '') ? Number(number) : 0;
}
