type Format = 'esm' | 'cjs';

/**
 * A program in which an application takes its module from one format of the package, and a
 * controller its decorators, interceptor and service from the other. It prints one JSON object.
 *
 * @param first is loaded first, and is the application's
 */
export function bothFormats(first: Format, second: Format): string {
  return `
import 'reflect-metadata';
import { Controller, Get, Module, UseInterceptors } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const load = { esm: (name) => import(name), cjs: (name) => require(name) };
const app = await load.${first}('nestjs-ledger');
const { LedgerTestingModule } = await load.${first}('nestjs-ledger/testing');
const library = await load.${second}('nestjs-ledger');
if (app.RecordUsage === library.RecordUsage) throw new Error('not two formats');

class Answers {
  answer(draft) {
    draft.promptTokens = 3;
    return 'hello';
  }
}
const member = [Answers.prototype, 'answer'];
const descriptor = Object.getOwnPropertyDescriptor(...member);
Get()(...member, descriptor);
library.Usage()(...member, 0);
library.RecordUsage(({ usage }) => ({ userId: 7, ...usage, memo: 'from a handler' }))(
  ...member,
  descriptor,
);
UseInterceptors(library.LedgerInterceptor)(Answers);
Controller()(Answers);

const quiet = { logger: false, abortOnError: false };
const moduleOf = (facts) => {
  class AppModule {}
  Module(facts)(AppModule);
  return AppModule;
};
const imports = [LedgerTestingModule.forRoot()];
const nest = await NestFactory.create(moduleOf({ imports, controllers: [Answers] }), quiet);
await nest.listen(0, '127.0.0.1');
await fetch(await nest.getUrl());
const entries = await nest.get(LedgerTestingModule).entries();
const service = nest.get(library.LedgerService);
const { ledger } = await nest.get(library.LedgerHealthIndicator).isHealthy('ledger');
const refusal = await service.recordAndWait({}).catch((error) => error);
const result = {
  entries: entries.map(({ userId, promptTokens, memo }) => ({ userId, promptTokens, memo })),
  health: ledger.status,
  isSameService: service === nest.get(app.LedgerService),
  isKnownError:
    app.isLedgerError(refusal, 'LEDGER_ENTRY_INVALID') && library.isLedgerError(refusal, 'LEDGER_ENTRY_INVALID'),
};
await nest.close();

const connection = { url: 'postgres://nobody@127.0.0.1:1/nowhere' };
const twice = [app, library].map((each) => each.LedgerModule.forRoot({ connection }));
result.twice = await NestFactory.createApplicationContext(moduleOf({ imports: twice }), quiet).then(
  () => 'started',
  (error) => error.message,
);
console.log(JSON.stringify(result));
process.exit();
`;
}
