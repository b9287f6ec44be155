import { Agent, get } from 'node:http';

/** Requests that are on their way at once. */
const CONNECTIONS = 32;

/** Kinds of answers of `http/main.ts`; those of `PLAIN` are held until their entry is durable. */
export const PLAIN = ['plain', 'later', 'passthrough'] as const;
export const STREAMED = ['stream', 'events', 'manual'] as const;
const KINDS = [...PLAIN, ...PLAIN, ...STREAMED];

/** Requests that a client received a whole answer of status 200 to, by their kinds. */
export class NumberedRequests {
  readonly plain: number[] = [];
  readonly streamed: number[] = [];
  #last = 0;

  get answered(): number {
    return this.plain.length + this.streamed.length;
  }

  /**
   * Sends numbered requests of all kinds until the application is gone.
   *
   * @param onAnswer called behind each whole answer
   */
  async send(port: number, onAnswer: () => void): Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
    let isGone = false;
    const one = async (): Promise<void> => {
      while (!isGone) {
        const number = ++this.#last;
        const kind = KINDS[number % KINDS.length]!;
        try {
          await ask(agent, `http://127.0.0.1:${port}/${kind}?n=${number}`);
        } catch {
          isGone = true;
          return;
        }
        const isPlain = (PLAIN as readonly string[]).includes(kind);
        (isPlain ? this.plain : this.streamed).push(number);
        onAnswer();
      }
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, one));
    agent.destroy();
  }
}

/** @throws if the answer is not 200, or is cut short */
function ask(agent: Agent, url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent }, (response) => {
      response.resume();
      response.once('error', reject);
      response.once('end', () => {
        if (response.statusCode === 200 && response.complete) resolve();
        else reject(new Error(`${response.statusCode}: ${url}`));
      });
    });
    request.once('error', reject);
  });
}
