import { Controller, Module, Query, Sse, type MessageEvent } from '@nestjs/common';
import { ledgerConfig, LedgerModule } from 'nestjs-ledger';
import { RecordUsage, Usage, type UsageDraft } from 'nestjs-ledger';
import { concatMap, from, map, tap, timer, type Observable } from 'rxjs';

const MS_PER_WORD = 50;

@Controller('words')
class WordsController {
  /**
   * Counts each word as it is sent. The entry is made when the response is over: after the last
   * word, or when the client hangs up, and then it holds what was sent until then.
   */
  @Sse()
  @RecordUsage(({ usage, end }) => ({ userId: 1, ...usage, memo: end }))
  words(@Query('text') text: string, @Usage() usage: UsageDraft): Observable<MessageEvent> {
    usage.promptTokens = text.length;
    return from(text.split(' ')).pipe(
      concatMap((data) => timer(MS_PER_WORD).pipe(map(() => ({ data })))),
      tap(() => (usage.completionTokens = (usage.completionTokens ?? 0) + 1)),
    );
  }
}

@Module({
  imports: [LedgerModule.forRootAsync(ledgerConfig.asProvider())],
  controllers: [WordsController],
})
export class AppModule {}
