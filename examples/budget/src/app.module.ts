import { Body, Controller, Module, Post } from '@nestjs/common';
import { createLedgerConfig, LedgerModule } from 'nestjs-ledger';
import { BudgetService } from './budget.service.js';

@Controller()
class AnswersController {
  constructor(private readonly budget: BudgetService) {}

  @Post('orders')
  async order(@Body() order: { user: number; tokens: number; id: string; at: string }) {
    await this.budget.buy(order.user, order.tokens, order.id, new Date(order.at));
    return { left: await this.budget.left(order.user) };
  }

  @Post('answers')
  async answer(@Body() { user, text }: { user: number; text: string }) {
    await this.budget.check(user);
    const answer = text.toUpperCase();
    await this.budget.spend(user, answer.split(' ').length);
    return { answer, left: await this.budget.left(user) };
  }
}

/** Without its database it could check nothing, so it does not start without it. */
const config = createLedgerConfig({ defaults: { connectAtBoot: true } });

@Module({
  imports: [LedgerModule.forRootAsync(config.asProvider())],
  controllers: [AnswersController],
  providers: [BudgetService],
})
export class AppModule {}
