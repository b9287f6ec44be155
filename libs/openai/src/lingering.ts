import type { CallMeter } from './call-meter.js';

/** How many times as long a model may think before its first text: 60 s of the default 2 s. */
const THINKING_FACTOR = 30;
/** Bytes that are read for a client that has left. Usage has some hundred. */
const MAX_BYTES = 16 * 1024 * 1024;
/** Calls that are read on at once, of all callers and of one. */
const MAX_CALLS = 256;
const MAX_CALLS_OF_CALLER = 64;

interface Lingerer {
  readonly end: () => void;
  timer: NodeJS.Timeout;
  isThinking: boolean;
  bytes: number;
}

/**
 * Calls whose client has left, and whose upstream is read on to learn the usage. Before the first
 * text a model may think for long, and is charged for it: such a call may go on for 30 times
 * `lingerMs`. Once text comes it has `lingerMs` yet, enough for the usage behind the last text; an
 * answer that is still being written then is cut off, since nobody reads what would be charged. No
 * call is read on for more than 16 MiB.
 */
export class Lingering {
  private readonly calls = new Map<CallMeter, Lingerer>();
  private readonly ofCaller = new Map<string, number>();
  private isStopping = false;

  /** @param lingerMs 0: no call is read on */
  constructor(private readonly lingerMs: number) {}

  /** Lets a call go on, or ends it at once if there are too many. `end` is called at most once. */
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

  /** The upstream of a call that was added has sent something more. */
  read(meter: CallMeter, bytes: number): void {
    const call = this.calls.get(meter);
    if (!call) return;
    call.bytes += bytes;
    if (call.bytes > MAX_BYTES) call.end();
    else if (call.isThinking && meter.hasSpoken) this.hurry(call);
  }

  /** The process stops: each call has `lingerMs` yet, and no more. */
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
