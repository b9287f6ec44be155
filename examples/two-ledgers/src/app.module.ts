import { Body, Controller, Delete, Module, Param, Post } from '@nestjs/common';
import { createLedgerConfig, InjectLedger } from 'nestjs-ledger';
import { LedgerModule, LedgerService, RecordUsage } from 'nestjs-ledger';
import { audit, usage } from './ledgers.js';

interface Answer {
  user: string;
  model: string;
  tokens: number;
}

@Controller('answers')
class AnswersController {
  constructor(@InjectLedger(audit) private readonly trail: LedgerService<typeof audit>) {}

  /** Recorded by the decorator, into the ledger that it names. */
  @Post()
  @RecordUsage<Answer, typeof usage>(
    ({ result: answer }) =>
      answer
        ? {
            userId: answer.user,
            model: answer.model,
            completionTokens: answer.tokens,
            costNanos: answer.tokens * 600,
          }
        : null,
    { ledger: usage },
  )
  answer(@Body() { user, text }: { user: string; text: string }): Answer {
    return { user, model: 'echo-1', tokens: text.split(' ').length };
  }

  /** Recorded by hand, into the other one; who must not miss it waits for the commit. */
  @Delete(':id')
  async remove(@Param('id') id: string, @Body() { user }: { user: string }): Promise<void> {
    await this.trail.recordAndWait({
      userId: user,
      action: 'answer.remove',
      subject: id,
      details: { by: 'request' },
    });
  }
}

@Module({
  imports: [usage, audit].map((ledger) =>
    LedgerModule.forRootAsync(createLedgerConfig(ledger).asProvider()),
  ),
  controllers: [AnswersController],
})
export class AppModule {}
