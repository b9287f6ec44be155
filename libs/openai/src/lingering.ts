import type { CallMeter } from './call-meter.js';

/** How many times the time of silence an upstream is read on at most: 60 s of the default 2 s. */
const LONGEST_IN_SILENCES = 30;
/** Bytes that are read for a client that has left. Usage has some hundred. */
const MAX_BYTES = 16 * 1024 * 1024;
/** Calls that are read on at once, of all callers and of one. */
const MAX_CALLS = 256;
const MAX_CALLS_OF_CALLER = 64;

interface Lingerer {
  readonly end: () => void;
  readonly silenceMs: number;
  silence: NodeJS.Timeout;
  bytes: number;
}

/**
 * Calls whose client has left, and whose upstream is read on to learn the usage. Once text has begun
 * the usage is near: such a call ends when the upstream has been silent for `silenceMs`. Before the
 * first text a model may think for long, and is charged for it: there silence says nothing, and the
 * call ends after 30 times that time. So does every call, and with 16 MiB, so that an answer without
 * end is not paid for by the gateway.
 */
export class Lingering {
  private readonly calls = new Map<CallMeter, Lingerer>();
  private readonly ofCaller = new Map<string, number>();
  private isStopping = false;

  /** @param silenceMs 0: no call is read on */
  constructor(private readonly silenceMs: number) {}

  /** Lets a call go on, or ends it at once if there are too many. `end` is called at most once. */
  add(caller: string, meter: CallMeter, end: () => void): void {
    const own = this.ofCaller.get(caller) ?? 0;
    const isFull = this.calls.size >= MAX_CALLS || own >= MAX_CALLS_OF_CALLER;
    if (this.silenceMs === 0 || isFull) return end();
    const longestMs = this.silenceMs * LONGEST_IN_SILENCES;
    const isShort = meter.hasSpoken || this.isStopping;
    const silenceMs = isShort ? this.silenceMs : longestMs;
    const lingerer: Lingerer = { end, silenceMs, silence: setTimeout(end, silenceMs), bytes: 0 };
    const longest = setTimeout(end, longestMs);
    this.calls.set(meter, lingerer);
    this.ofCaller.set(caller, own + 1);
    void meter.settled.finally(() => {
      clearTimeout(longest);
      clearTimeout(lingerer.silence);
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
    else if (!this.isStopping) call.silence.refresh();
  }

  /** The process stops: each call has the time of silence yet, and no more. */
  stop(): void {
    this.isStopping = true;
    for (const call of this.calls.values()) {
      clearTimeout(call.silence);
      call.silence = setTimeout(call.end, this.silenceMs);
    }
  }
}
