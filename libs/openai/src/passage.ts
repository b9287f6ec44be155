import { HttpException } from '@nestjs/common';
import { Readable } from 'node:stream';
import type { AnswerReader } from './answer-reader.js';
import type { CallMeter } from './call-meter.js';
import { noAnswer } from './http-upstream.js';
import { isTimeLeft, nextTurn } from './in-turns.js';

/**
 * An answer that is complete within this many milliseconds has its length in its head, and 502 if
 * it breaks.
 */
const HOLD_MS = 100;
const MAX_HELD_BYTES = 1024 * 1024;
/** Bytes of an answer that wait for a slow client before the upstream waits too. */
const HIGH_WATER_BYTES = 16_384;
/** Milliseconds for which an upstream may keep its connection open after the end of its answer. */
const END_GRACE_MS = 100;

/**
 * Carries one answer from the upstream to the client, at the client's pace. It begins with the
 * first event of a stream; other answers are held briefly. It continues when the client leaves, so
 * that the usage at the end is read, until the caller ends it.
 */
export class Passage {
  /** Set for an answer that begins before it is complete. */
  private out: Readable | undefined;
  private held: Buffer[] = [];
  private heldBytes = 0;
  private hasClientLeft = false;
  private holding: NodeJS.Timeout | undefined;
  private ending: NodeJS.Timeout | undefined;
  /** Lets the answer begin. */
  private begin: (body: Buffer | Readable) => void = () => undefined;
  private refuse: (error: Error) => void = () => undefined;
  /** Ends the wait for a client that does not read. */
  private wake: () => void = () => undefined;
  private readOn: (bytes: number) => void = () => undefined;
  private readonly begun: Promise<Buffer | Readable>;

  constructor(
    private readonly reader: AnswerReader,
    private readonly meter: CallMeter,
    /** Ends the upstream's connection. */
    private readonly endUpstream: () => void,
  ) {
    this.begun = new Promise((resolve, reject) => {
      this.begin = resolve;
      this.refuse = reject;
    });
  }

  /**
   * Begins to pass an answer on; the call is settled once all of it is read.
   *
   * @returns the content to send, once there is some
   * @throws HttpException 502 or 504 if the upstream breaks off before
   */
  start(body: AsyncIterable<Uint8Array>): Promise<Buffer | Readable> {
    void this.pass(body).then(
      () => this.finish(),
      (error: unknown) => (this.reader.isOver ? this.finish() : this.breakOff(error)),
    );
    return this.begun;
  }

  /** No client reads the answer any more. `read` is called with later bytes. */
  clientLeft(read: (bytes: number) => void): void {
    this.hasClientLeft = true;
    this.readOn = read;
    this.wake();
  }

  private async pass(body: AsyncIterable<Uint8Array>): Promise<void> {
    for await (const piece of body) {
      // Otherwise one fast upstream, or many, would block the event loop.
      while (!isTimeLeft()) await nextTurn();
      if (this.hasClientLeft) this.readOn(piece.length);
      const { bytes, hasEvent } = this.reader.read(piece);
      await this.send(bytes);
      if (hasEvent) this.open();
      if (this.reader.isOver) this.over();
    }
  }

  private over(): void {
    this.meter.completed();
    this.ending ??= setTimeout(this.endUpstream, END_GRACE_MS);
  }

  private async finish(): Promise<void> {
    clearTimeout(this.ending);
    const rest = this.reader.end();
    if (rest.length > 0) await this.send(rest);
    await this.meter.settle();
    clearTimeout(this.holding);
    if (this.out) this.out.push(null);
    else this.begin(Buffer.concat(this.held));
  }

  private breakOff(error: unknown): void {
    clearTimeout(this.holding);
    const failure = error instanceof HttpException ? error : noAnswer(error);
    // An end caused by the client's leaving is not a failure of the upstream.
    if (!this.hasClientLeft) {
      if (this.out) this.meter.failed('upstream_broke_off');
      else this.meter.failed('upstream_failed', failure.getStatus());
    }
    void this.meter.settle();
    this.refuse(failure);
    this.out?.destroy(failure);
  }

  /** Sends bytes, or holds them. Waits while the client does not read. */
  private async send(bytes: Buffer): Promise<void> {
    if (bytes.length === 0 || this.hasClientLeft) return;
    if (!this.out) {
      this.held.push(bytes);
      this.heldBytes += bytes.length;
      this.holding ??= setTimeout(() => this.open(), HOLD_MS);
      if (this.heldBytes > MAX_HELD_BYTES) this.open();
      return;
    }
    if (this.out.destroyed || this.out.push(bytes)) return;
    await new Promise<void>((resolve) => (this.wake = resolve));
  }

  private open(): void {
    if (this.out) return;
    clearTimeout(this.holding);
    const wake = (): void => this.wake();
    // Filled from here, because a transform stream would take twice the time for each piece.
    const out = (this.out = new Readable({ highWaterMark: HIGH_WATER_BYTES, read: wake }));
    // An error of the upstream ends the answer; it is reported elsewhere.
    out.on('close', wake).on('error', wake);
    for (const bytes of this.held) out.push(bytes);
    this.held = [];
    this.begin(out);
  }
}
