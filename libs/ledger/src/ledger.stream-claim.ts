import type { Ledger } from './assemble-ledger.js';
import { notTheLedger } from './config/configured-ledger.js';
import type { LedgerStream } from './ports/ledger-stream.interface.js';

/** Ledgers of this process by their streams, from boot until close. */
const CLAIMS = new WeakMap<LedgerStream, LedgerStreamClaim>();

/** What the claim needs of a ledger. */
interface ClaimingLedger {
  readonly options: Pick<Ledger['options'], 'stream' | 'role'>;
  readonly sink: Pick<Ledger['sink'], 'close'>;
}

/**
 * One ledger's claim on its stream object, over all applications of the process. A second ledger
 * would take the entries of the first, and would close the stream that the first still uses. After
 * the first has closed, another may have the object.
 *
 * @internal
 */
export class LedgerStreamClaim {
  constructor(
    private readonly ledger: ClaimingLedger,
    private readonly name: string,
  ) {}

  /** Taking it again does nothing. @throws LedgerOptionsError if another ledger has the stream */
  take(): void {
    const { stream } = this.ledger.options;
    if (stream === undefined) return;
    const owner = CLAIMS.get(stream);
    if (owner !== undefined && owner !== this) {
      throw notTheLedger(
        this.name,
        `has the stream of ledger ${owner.name} of another application in this process, which is ` +
          'still open: make a stream for each application, or close the other one first',
      );
    }
    CLAIMS.set(stream, this);
  }

  /** Closes the sink and the stream, except a stream that another ledger has. Never rejects. */
  async close(timeoutMs?: number): Promise<void> {
    const { sink, options } = this.ledger;
    const { stream, role } = options;
    const owner = stream && CLAIMS.get(stream);
    const isOthers = owner !== undefined && owner !== this;
    // A gateway's sink is the stream.
    if (!isOthers || role !== 'gateway') await sink.close(timeoutMs);
    if (stream === undefined || isOthers) return;
    await stream.close(timeoutMs);
    CLAIMS.delete(stream);
  }
}
