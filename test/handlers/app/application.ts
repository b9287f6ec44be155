import {
  ConsoleLogger,
  Global,
  Module,
  type OnApplicationShutdown,
  type Type,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { defineLedger, LedgerModule, LedgerService } from 'nestjs-ledger';
import { setTimeout as pause } from 'node:timers/promises';
import { partsOf } from './part.js';
import { underWay } from './work.js';

const { DATABASE, SPILL_DIR } = process.env;
const number = (name: string): number => Number(process.env[name]);

/** Nest calls the last hooks of global modules last: these are the ledger's final figures. */
class LastWords implements OnApplicationShutdown {
  constructor(private readonly ledger: LedgerService) {}

  async onApplicationShutdown(): Promise<void> {
    while (process.env['HELD_UNTIL'] === 'sealed' && underWay() > 0) await pause(20);
    process.stdout.write(`stats ${JSON.stringify(this.ledger.stats())}\n`);
  }
}

@Global()
@Module({
  providers: [
    {
      provide: LastWords,
      inject: [LedgerService],
      useFactory: (ledger: LedgerService) => new LastWords(ledger),
    },
  ],
})
class LastWordsModule {}

async function moduleOf(schema: string, kinds: readonly string[]): Promise<Type> {
  const parts = await partsOf(kinds);
  const ledger = LedgerModule.forRoot({
    ledger: defineLedger({ schema }),
    isGlobal: true,
    connection: { url: DATABASE! },
    connectAtBoot: true,
    spillDir: SPILL_DIR!,
    shutdownTimeoutMs: number('SHUTDOWN_MS'),
    flushMs: 20,
  });
  @Module({
    imports: [LastWordsModule, ledger, ...parts.flatMap(({ imports = [] }) => imports)],
    controllers: parts.flatMap(({ controllers = [] }) => controllers),
    providers: parts.flatMap(({ providers = [] }) => providers),
  })
  class AppModule {}
  return AppModule;
}

/** An application that listens, with shutdown hooks and the transports of its kinds. */
export async function listen(
  schema: string,
  kinds: readonly string[],
): Promise<NestFastifyApplication> {
  const module = await moduleOf(schema, kinds);
  const app = await NestFactory.create<NestFastifyApplication>(module, new FastifyAdapter(), {
    logger: new ConsoleLogger({ colors: false }),
    abortOnError: false,
  });
  app.enableShutdownHooks();
  if (kinds.some((kind) => kind.startsWith('ws'))) {
    const { WsAdapter } = await import('@nestjs/platform-ws');
    app.useWebSocketAdapter(new WsAdapter(app));
  }
  if (kinds.some((kind) => /^(rpc|event)/.test(kind))) {
    const { Transport } = await import('@nestjs/microservices');
    const options = { host: '127.0.0.1', port: number('RPC_PORT') };
    app.connectMicroservice({ transport: Transport.TCP, options });
    await app.startAllMicroservices();
  }
  await app.listen(number('HTTP_PORT'), '127.0.0.1');
  return app;
}
