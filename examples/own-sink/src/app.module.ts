import { Body, Controller, Module, Post } from '@nestjs/common';
import { createLedgerConfig, LedgerModule, RecordUsage } from 'nestjs-ledger';
import { HttpSink } from './http.sink.js';
import { usage } from './usage.ledger.js';

interface Translation {
  user: number;
  words: number;
  text: string;
}

@Controller('translations')
class TranslationsController {
  /** The answer goes out at once; its entry is sent with the next batch. */
  @Post()
  @RecordUsage<Translation, typeof usage>(
    ({ result }) =>
      result ? { userId: result.user, completionTokens: result.words, model: 'upper-1' } : null,
    { ledger: usage },
  )
  translate(@Body() { user, text }: { user: number; text: string }): Translation {
    return { user, words: text.split(' ').length, text: text.toUpperCase() };
  }
}

const sink = new HttpSink({
  definition: usage,
  url: process.env['COLLECTOR_URL'] ?? 'http://localhost:4000',
});

@Module({
  imports: [
    // No database: the sink takes its place. Settings still come from the environment.
    LedgerModule.forRootAsync(createLedgerConfig(usage, { defaults: { sink } }).asProvider()),
  ],
  controllers: [TranslationsController],
})
export class AppModule {}
