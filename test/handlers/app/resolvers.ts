import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { Args, GraphQLModule, Mutation, Query, Resolver, Subscription } from '@nestjs/graphql';
import { LedgerService, RecordUsage, Usage } from 'nestjs-ledger';
import type { Part } from './part.js';
import { begin, end, entryOf, takeTime, work, workAndRecord, type Draft } from './work.js';

@Resolver()
class Resolvers {
  constructor(private readonly ledger: LedgerService) {}

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
    try {
      for (const word of ['one', 'two', 'three']) {
        draft.completionTokens = (draft.completionTokens ?? 0) + 1;
        yield { words: word };
        if (word === 'two') await takeTime(memo);
      }
    } finally {
      end(memo);
    }
  }

  @Subscription(() => String)
  async *plainWords(@Args('memo') memo: string): AsyncGenerator<{ plainWords: string }> {
    yield { plainWords: 'one' };
    yield { plainWords: await workAndRecord(memo, this.ledger) };
  }
}

export const resolvers = (): Part => ({
  imports: [
    GraphQLModule.forRoot<ApolloDriverConfig>({
      driver: ApolloDriver,
      autoSchemaFile: true,
      subscriptions: { 'graphql-ws': true },
    }),
  ],
  providers: [Resolvers],
});
