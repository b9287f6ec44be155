import { newEntryUuid, type LedgerService, isLedgerError } from 'nestjs-ledger';
import type { AppCommand, EntriesReport } from './protocol.js';

type LoadCommand = Extract<AppCommand, { do: 'load' }>;

const TICK_MS = 5;
/** Every tenth entry has its own uuid, and the caller of every 25th waits for the commit. */
const OWN_EVERY = 10;
const AWAITED_EVERY = 25;
const WAIT_MS = 600_000;

interface Entry {
  readonly userId: number;
  readonly promptTokens: number;
  readonly memo: string;
  readonly uuid?: string;
}

/** Records distinguishable entries: user and memo follow from the token count. */
export class Load {
  readonly #ledger: LedgerService;
  #timer: NodeJS.Timeout | undefined;
  #awaitedEvery = AWAITED_EVERY;
  #offered = 0;
  #sequenced = 0;
  #own: string[] = [];
  #acknowledged: string[] = [];
  #setAside: string[] = [];

  constructor(ledger: LedgerService) {
    this.#ledger = ledger;
  }

  start({ perSecond, memoBytes, isAwaited }: LoadCommand): void {
    this.pause();
    this.#awaitedEvery = isAwaited ? AWAITED_EVERY : Number.POSITIVE_INFINITY;
    const perTick = Math.max(1, Math.round((perSecond * TICK_MS) / 1000));
    this.#timer = setInterval(() => {
      for (let i = 0; i < perTick; i++) this.#offer('x'.repeat(memoBytes));
    }, TICK_MS);
  }

  pause(): void {
    clearInterval(this.#timer);
  }

  /** What happened since the last call; the count of sequences is of all time. */
  report(): EntriesReport {
    const [own, acknowledged, setAside] = [this.#own, this.#acknowledged, this.#setAside];
    this.#own = [];
    this.#acknowledged = [];
    this.#setAside = [];
    return { sequenced: this.#sequenced, own, acknowledged, setAside };
  }

  #offer(padding: string): void {
    const number = ++this.#offered;
    const entry = { userId: number + 1, promptTokens: number, memo: `memo ${number} ${padding}` };
    if (number % this.#awaitedEvery === 0) void this.#await(entry);
    else if (number % OWN_EVERY === 0) this.#record({ ...entry, uuid: newEntryUuid() });
    else this.#record(entry);
  }

  #record(entry: Entry): void {
    if (this.#ledger.record(entry) !== 'queued') return;
    if (entry.uuid === undefined) this.#sequenced++;
    else this.#own.push(entry.uuid);
  }

  /** These have uuids of their own, since the caller must know them however the wait ends. */
  async #await(given: Entry): Promise<void> {
    const entry = { ...given, uuid: newEntryUuid() };
    const queued = this.#ledger.stats().queued;
    const settled = this.#ledger.recordAndWait(entry, { timeoutMs: WAIT_MS });
    // Without room the caller waits, and the test asks for room: then it is not counted.
    if (this.#ledger.stats().queued > queued) this.#own.push(entry.uuid);
    try {
      await settled;
      this.#acknowledged.push(entry.uuid);
    } catch (error) {
      const isKept =
        isLedgerError(error, 'LEDGER_DEAD_LETTERED') || isLedgerError(error, 'LEDGER_SPILLED');
      if (isKept) this.#setAside.push(entry.uuid);
    }
  }
}
