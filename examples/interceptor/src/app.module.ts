import { Body, Controller, Module, Post } from '@nestjs/common';
import { ledgerConfig, LedgerModule, RecordUsage } from 'nestjs-ledger';

interface Translation {
  user: number;
  words: number;
  text: string;
}

@Controller('translations')
class TranslationsController {
  /** The answer goes out at once; its entry rides on the next batch. */
  @Post()
  @RecordUsage<Translation>(({ result, durationMs }) =>
    result
      ? { userId: result.user, completionTokens: result.words, attributes: { durationMs } }
      : null,
  )
  translate(@Body() { user, text }: { user: number; text: string }): Translation {
    return { user, words: text.split(' ').length, text: text.toUpperCase() };
  }
}

@Module({
  imports: [LedgerModule.forRootAsync(ledgerConfig.asProvider())],
  controllers: [TranslationsController],
})
export class AppModule {}
