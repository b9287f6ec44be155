import { Body, Controller, Injectable, Post } from '@nestjs/common';
import type { BeforeApplicationShutdown, OnApplicationBootstrap } from '@nestjs/common';
import { Args, Mutation, Query, Resolver, Subscription } from '@nestjs/graphql';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';
import { Cron, Interval } from '@nestjs/schedule';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { LedgerService, RecordUsage, Usage } from 'nestjs-ledger';
import { setTimeout as pause } from 'node:timers/promises';
import {
  begin,
  ended,
  entryOf,
  nextMemo,
  work,
  workAndRecord,
  workMs,
  type Draft,
} from './work.js';

/** What a caller sends: the memo of the entry. */
interface Asked {
  memo: string;
}

@Controller()
export class Routes {
  constructor(private readonly ledger: LedgerService) {}

  @Post('metered')
  @RecordUsage(entryOf)
  metered(@Body() { memo }: Asked, @Usage() draft: Draft): Promise<string> {
    return work(memo, draft);
  }

  @Post('plain')
  plain(@Body() { memo }: Asked): Promise<string> {
    return workAndRecord(memo, this.ledger);
  }
}

@Controller()
export class Messages {
  constructor(private readonly ledger: LedgerService) {}

  @MessagePattern('ask')
  @RecordUsage(entryOf)
  ask(@Payload() { memo }: Asked, @Usage() draft: Draft): Promise<string> {
    return work(memo, draft);
  }

  @EventPattern<string>('tell')
  @RecordUsage(entryOf)
  async tell(@Payload() { memo }: Asked, @Usage() draft: Draft): Promise<void> {
    await work(memo, draft);
  }

  @MessagePattern('ask plainly')
  askPlainly(@Payload() { memo }: Asked): Promise<string> {
    return workAndRecord(memo, this.ledger);
  }
}

@WebSocketGateway(Number(process.env['WS_PORT']))
export class Sockets {
  constructor(private readonly ledger: LedgerService) {}

  @SubscribeMessage('say')
  @RecordUsage(entryOf)
  say(@MessageBody() { memo }: Asked, @Usage() draft: Draft): Promise<string> {
    return work(memo, draft);
  }

  @SubscribeMessage('say plainly')
  sayPlainly(@MessageBody() { memo }: Asked): Promise<string> {
    return workAndRecord(memo, this.ledger);
  }
}

@Resolver()
export class Resolvers {
  @Query(() => String)
  @RecordUsage(entryOf)
  look(@Args('memo') memo: string, @Usage() draft: Draft): Promise<string> {
    return work(memo, draft);
  }

  @Mutation(() => String)
  @RecordUsage(entryOf)
  change(@Args('memo') memo: string, @Usage() draft: Draft): Promise<string> {
    return work(memo, draft);
  }

  @Subscription(() => String)
  @RecordUsage(entryOf)
  async *words(
    @Args('memo') memo: string,
    @Usage() draft: Draft,
  ): AsyncGenerator<{ words: string }> {
    begin(memo);
    draft.memo = memo;
    for (const word of ['one', 'two', 'three']) {
      draft.completionTokens = (draft.completionTokens ?? 0) + 1;
      yield { words: word };
      await pause(workMs() / 3);
    }
    ended.push(memo);
  }
}

@Injectable()
export class Times {
  @Interval(50)
  @RecordUsage(entryOf)
  async often(@Usage() draft: Draft = {}): Promise<void> {
    await work(nextMemo('interval'), draft);
  }

  @Cron('* * * * * *')
  @RecordUsage(entryOf)
  async eachSecond(@Usage() draft: Draft = {}): Promise<void> {
    await work(nextMemo('cron'), draft);
  }
}

/** A source of work that Nest knows nothing of. */
@Injectable()
export class Loop implements OnApplicationBootstrap, BeforeApplicationShutdown {
  #timer: NodeJS.Timeout | undefined;

  constructor(private readonly ledger: LedgerService) {}

  onApplicationBootstrap(): void {
    const start = (): void =>
      void this.ledger.track(workAndRecord(nextMemo('tracked'), this.ledger));
    this.#timer = setInterval(start, 50);
  }

  beforeApplicationShutdown(): void {
    clearInterval(this.#timer);
  }
}
