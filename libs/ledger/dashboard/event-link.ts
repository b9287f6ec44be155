import type { DashboardFrame, DashboardHello } from '../src/dashboard/dashboard-frame.interface.js';

/** State of the page's connection to the server. */
export type LinkState = 'connecting' | 'live' | 'closing' | 'lost' | 'refused';

/** Receives the events. */
export interface LinkListener {
  hello(hello: DashboardHello): void;
  frame(frame: DashboardFrame): void;
  link(state: LinkState): void;
}

/** Milliseconds between tries after the browser itself gave up. */
const FIRST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 10_000;
/** After this long without a frame, in milliseconds, the connection counts as dead. */
const SILENCE_MS = 8000;

/** The connection to the events: survives restarts, proxies that cut it, and sleep. */
export class EventLink {
  readonly #listener: LinkListener;
  #source: EventSource | undefined;
  #ledger: string | undefined;
  #lastId = '';
  #hasHello = false;
  #pauseMs = FIRST_PAUSE_MS;
  #retry: number | undefined;
  #silence: number | undefined;

  constructor(listener: LinkListener) {
    this.#listener = listener;
  }

  /** Connects again, to another ledger if one is named. */
  open(ledger?: string): void {
    if (ledger !== undefined && ledger !== this.#ledger) this.#lastId = '';
    this.#ledger = ledger ?? this.#ledger;
    this.close();
    this.#hasHello = false;
    const source = new EventSource(this.#address());
    this.#source = source;
    this.#listener.link('connecting');
    source.addEventListener('hello', (event: MessageEvent<string>) => this.#take(event, 'hello'));
    source.addEventListener('frame', (event: MessageEvent<string>) => this.#take(event, 'frame'));
    source.addEventListener('closing', () => this.#listener.link('closing'));
    source.addEventListener('error', () => this.#failed(source));
    this.#expectFrame();
  }

  close(): void {
    this.#source?.close();
    window.clearTimeout(this.#retry);
    window.clearTimeout(this.#silence);
  }

  /** The page's own query is kept, because a guard may use it. */
  #address(): string {
    const query = new URLSearchParams(location.search);
    if (this.#ledger !== undefined) query.set('ledger', this.#ledger);
    if (this.#lastId !== '') query.set('after', this.#lastId);
    const folder = location.pathname.replace(/\/+$/, '');
    return `${folder}/ledger-events?${query.toString()}`;
  }

  #take(event: MessageEvent<string>, type: 'hello' | 'frame'): void {
    this.#lastId = event.lastEventId;
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#expectFrame();
    this.#listener.link('live');
    if (type === 'hello') {
      this.#hasHello = true;
      this.#listener.hello(JSON.parse(event.data) as DashboardHello);
    } else if (this.#hasHello) {
      this.#listener.frame(JSON.parse(event.data) as DashboardFrame);
    }
  }

  /** The browser retries by itself unless the answer was not a stream. */
  #failed(source: EventSource): void {
    this.#listener.link('lost');
    if (source.readyState !== EventSource.CLOSED) return;
    this.#tryLater();
    void this.#askWhy(source);
  }

  /**
   * Finds out why, because an event source does not report the answer: gone, or forbidden for this
   * page.
   */
  async #askWhy(source: EventSource): Promise<void> {
    const end = new AbortController();
    const answer = await fetch(this.#address(), { signal: end.signal }).catch(() => undefined);
    end.abort();
    const isRefused = answer !== undefined && [401, 403, 404].includes(answer.status);
    if (isRefused && source === this.#source) this.#listener.link('refused');
  }

  #tryLater(): void {
    window.clearTimeout(this.#retry);
    this.#retry = window.setTimeout(() => this.open(), this.#pauseMs);
    this.#pauseMs = Math.min(LONGEST_PAUSE_MS, this.#pauseMs * 1.6);
  }

  #expectFrame(): void {
    window.clearTimeout(this.#silence);
    this.#silence = window.setTimeout(() => {
      this.#listener.link('lost');
      this.open();
    }, SILENCE_MS);
  }
}
