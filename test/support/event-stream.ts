/** One server-sent event; `data` is parsed. */
export interface StreamEvent {
  readonly type: string;
  readonly id: string;
  readonly data: any;
}

/** How long a test waits for an event, in milliseconds. */
const WAIT_MS = 10_000;

/** Reads server-sent events, as a browser does but without trying again. */
export class EventStream {
  /** Resolves when the server ended it, or when it was closed. */
  readonly ended: Promise<void>;
  readonly #events: StreamEvent[] = [];
  #arrived: () => void = () => {};
  #isOver = false;
  readonly #abort: AbortController;

  private constructor(
    private readonly response: Response,
    abort: AbortController,
  ) {
    this.#abort = abort;
    this.ended = this.#read();
  }

  /** @throws Error if the answer is no 200 */
  static async open(url: string, headers: Record<string, string> = {}): Promise<EventStream> {
    const abort = new AbortController();
    const response = await fetch(url, { headers, signal: abort.signal });
    if (response.status !== 200) throw new Error(`${url} answered ${response.status}`);
    return new EventStream(response, abort);
  }

  get headers(): Headers {
    return this.response.headers;
  }

  /** The next event of a type; those of other types that come before it are dropped. */
  async next(type: string): Promise<StreamEvent> {
    const until = Date.now() + WAIT_MS;
    for (;;) {
      const event = this.#events.shift();
      if (event?.type === type) return event;
      if (event !== undefined) continue;
      const left = until - Date.now();
      if (this.#isOver || left <= 0) throw new Error(`no event '${type}'`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#arrived = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  close(): void {
    this.#abort.abort();
  }

  async #read(): Promise<void> {
    let text = '';
    try {
      for await (const piece of this.response.body!.pipeThrough(new TextDecoderStream())) {
        const parts = (text + piece).split('\n\n');
        text = parts.pop() ?? '';
        this.#events.push(...parts.flatMap(parse));
        this.#arrived();
      }
    } catch {
      // Cut off: the test that closed it, or that waits for an event, knows what that means.
    }
    this.#isOver = true;
    this.#arrived();
  }
}

function parse(block: string): StreamEvent[] {
  const fields = new Map<string, string>();
  for (const line of block.split('\n')) {
    const at = line.indexOf(': ');
    if (at > 0) fields.set(line.slice(0, at), line.slice(at + 2));
  }
  const data = fields.get('data');
  if (data === undefined) return [];
  return [
    { type: fields.get('event') ?? 'message', id: fields.get('id') ?? '', data: JSON.parse(data) },
  ];
}
