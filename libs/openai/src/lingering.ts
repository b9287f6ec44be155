import type { CallMeter } from './call-meter.js';

/** Factor by which a model may think longer before its first text: 60 s with the default of 2 s. */
const THINKING_FACTOR = 30;
/** Bytes read for a client that has left. Usage has some hundred. */
const MAX_BYTES = 16 * 1024 * 1024;
/** Maximum calls being read after their client left, of all callers and of one. */
const MAX_CALLS = 256;
const MAX_CALLS_OF_CALLER = 64;

interface Lingerer {
  readonly end: () => void;
  timer: NodeJS.Timeout;
  isThinking: boolean;
  bytes: number;
}

/**
 * Calls whose client has left, and whose upstream is still read to learn the usage. Before the
 * first text a model may think for long, which is charged too: such a call may continue for 30
 * times `lingerMs`. From the first text on it has `lingerMs` left, enough for the usage after the
 * last text. An answer that is still being written then is cut off, because nobody reads what would
 * be charged. No call is read for more than 16 MiB.
 */
export class Lingering {
  private readonly calls = new Map<CallMeter, Lingerer>();
  private readonly ofCaller = new Map<string, number>();
  private isStopping = false;

  /** @param lingerMs 0: no call is read on */
  constructor(private readonly lingerMs: number) {}

  /**
   * Lets a call continue, or ends it at once if there are too many. `end` is called at most once.
   */
  add(caller: string, meter: CallMeter, end: () => void): void {
    const own = this.ofCaller.get(caller) ?? 0;
    const isFull = this.calls.size >= MAX_CALLS || own >= MAX_CALLS_OF_CALLER;
    if (this.lingerMs === 0 || isFull) return end();
    const isThinking = !meter.hasSpoken && !this.isStopping;
    const timer = setTimeout(end, this.lingerMs * (isThinking ? THINKING_FACTOR : 1));
    const lingerer: Lingerer = { end, timer, isThinking, bytes: 0 };
    this.calls.set(meter, lingerer);
    this.ofCaller.set(caller, own + 1);
    void meter.settled.finally(() => {
      clearTimeout(lingerer.timer);
      this.calls.delete(meter);
      const left = (this.ofCaller.get(caller) ?? 1) - 1;
      if (left > 0) this.ofCaller.set(caller, left);
      else this.ofCaller.delete(caller);
    });
  }

  /** The upstream of an added call has sent more bytes. */
  read(meter: CallMeter, bytes: number): void {
    const call = this.calls.get(meter);
    if (!call) return;
    call.bytes += bytes;
    if (call.bytes > MAX_BYTES) call.end();
    else if (call.isThinking && meter.hasSpoken) this.hurry(call);
  }

  /** The process stops: each call has `lingerMs` left. */
  stop(): void {
    this.isStopping = true;
    for (const call of this.calls.values()) if (call.isThinking) this.hurry(call);
  }

  private hurry(call: Lingerer): void {
    call.isThinking = false;
    clearTimeout(call.timer);
    call.timer = setTimeout(call.end, this.lingerMs);
  }
}
