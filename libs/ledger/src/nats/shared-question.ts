/**
 * A question that many callers ask at once. It is asked once at a time, and each caller gets an answer to a question
 * that was asked after its call.
 *
 * @internal
 */
export class SharedQuestion<Of, Answer> {
  #running: Promise<Answer> | undefined;
  #next: Promise<Answer> | undefined;

  constructor(private readonly put: (of: Of) => Promise<Answer>) {}

  /** @throws what the question throws */
  ask(of: Of): Promise<Answer> {
    this.#next ??= this.#askNext(of);
    return this.#next;
  }

  async #askNext(of: Of): Promise<Answer> {
    // Those who asked it get its failure.
    await this.#running?.catch(() => undefined);
    this.#next = undefined;
    this.#running = this.put(of);
    return this.#running;
  }
}
