import { Injectable } from '@nestjs/common';
import { LedgerService } from 'nestjs-ledger';

/** Shortens texts, and records what that took. */
@Injectable()
export class SummaryService {
  constructor(private readonly ledger: LedgerService) {}

  /** @returns the first sentence */
  summarize(userId: number, text: string): string {
    const [sentence = ''] = text.split(/(?<=\.)\s/);
    this.ledger.record({
      userId,
      promptTokens: text.split(' ').length,
      completionTokens: sentence.split(' ').length,
      memo: 'summary',
    });
    return sentence;
  }

  /** @returns the first sentence, after its entry is safe */
  async summarizeSafely(userId: number, text: string): Promise<string> {
    const [sentence = ''] = text.split(/(?<=\.)\s/);
    await this.ledger.recordAndWait({ userId, promptTokens: text.split(' ').length });
    return sentence;
  }
}
