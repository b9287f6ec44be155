import { HttpException, HttpStatus, Injectable } from '@nestjs/common';
import { LedgerService } from 'nestjs-ledger';

/**
 * Tokens that users bought, less those that they spent. Both are entries: nothing is ever updated.
 *
 * A summary sees what is committed, so spending waits for its commit. Requests of one user that run
 * at the same moment may each pass the check: the overdraft is at most what they spend together.
 */
@Injectable()
export class BudgetService {
  constructor(private readonly ledger: LedgerService) {}

  /** @param orderId the same order, delivered twice, counts once */
  async buy(userId: number, tokens: number, orderId: string, orderedAt: Date): Promise<void> {
    await this.ledger.recordAndWait({
      userId,
      direction: 'supply',
      promptTokens: tokens,
      idempotencyKey: `order:${orderId}`,
      createdAt: orderedAt,
    });
  }

  /** @returns tokens that the user may still spend; negative after an overdraft */
  async left(userId: number): Promise<number> {
    return (await this.ledger.summary({ userId })).netTokens;
  }

  /** @throws HttpException 402 if nothing is left */
  async check(userId: number): Promise<void> {
    if ((await this.left(userId)) > 0) return;
    throw new HttpException('no tokens left', HttpStatus.PAYMENT_REQUIRED);
  }

  /** Returns after the commit: the next check sees it, and `kill -9` does not lose it. */
  async spend(userId: number, completionTokens: number): Promise<void> {
    await this.ledger.recordAndWait({ userId, completionTokens });
  }
}
