/** Requests at the rate of their answers, until stopped. */
export class ChatLoad {
  #isOn = true;
  readonly #loops: Promise<void>[];

  /** @param callers that ask at the same time; the gateway's answers are not looked at */
  constructor(url: string, callers: number) {
    this.#loops = Array.from({ length: callers }, (_, index) => this.#ask(url, `caller-${index}`));
  }

  async stop(): Promise<void> {
    this.#isOn = false;
    await Promise.all(this.#loops);
  }

  async #ask(url: string, user: string): Promise<void> {
    const messages = [{ role: 'user', content: 'Hello there' }];
    const request = {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'gpt-4o', user, messages }),
    };
    while (this.#isOn) {
      const response = await fetch(`${url}/v1/chat/completions`, request).catch(() => undefined);
      await response?.arrayBuffer().catch(() => undefined);
    }
  }
}
