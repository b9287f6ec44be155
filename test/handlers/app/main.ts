import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { ConsoleLogger, Global, Module, type OnApplicationShutdown } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { GraphQLModule } from '@nestjs/graphql';
import { Transport } from '@nestjs/microservices';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { WsAdapter } from '@nestjs/platform-ws';
import { ScheduleModule } from '@nestjs/schedule';
import { defineLedger, LedgerModule, LedgerService } from 'nestjs-ledger';
import { Loop, Messages, Resolvers, Routes, Sockets, Times } from './handlers.js';
import { jobProviders, queues } from './jobs.js';
import { begun, ended } from './work.js';

/**
 * An application with every kind of handler, in a process of its own. Environment: DATABASE, SCHEMA,
 * SPILL_DIR, SHUTDOWN_MS, HTTP_PORT, RPC_PORT, WS_PORT, REDIS_PORT (0: no queues). A message on stdin
 * closes it.
 */
const { DATABASE, SCHEMA, SPILL_DIR } = process.env;
const number = (name: string): number => Number(process.env[name]);
const usage = defineLedger({ schema: SCHEMA! });

/** Nest calls the last hooks of global modules last: these are the ledger's final figures. */
class LastWords implements OnApplicationShutdown {
  constructor(private readonly ledger: LedgerService) {}

  onApplicationShutdown(): void {
    const said = { begun, ended, stats: this.ledger.stats() };
    process.stdout.write(`LAST ${JSON.stringify(said)}\n`);
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

const redisPort = number('REDIS_PORT');

@Module({
  imports: [
    LastWordsModule,
    LedgerModule.forRoot({
      ledger: usage,
      isGlobal: true,
      connection: { url: DATABASE! },
      connectAtBoot: true,
      spillDir: SPILL_DIR!,
      shutdownTimeoutMs: number('SHUTDOWN_MS'),
      flushMs: 20,
    }),
    GraphQLModule.forRoot<ApolloDriverConfig>({
      driver: ApolloDriver,
      autoSchemaFile: true,
      subscriptions: { 'graphql-ws': true },
    }),
    ScheduleModule.forRoot(),
    ...(redisPort > 0 ? queues(redisPort) : []),
  ],
  controllers: [Routes, Messages],
  providers: [Sockets, Resolvers, Times, Loop, ...(redisPort > 0 ? jobProviders : [])],
})
class AppModule {}

const app = await NestFactory.create<NestFastifyApplication>(AppModule, new FastifyAdapter(), {
  logger: new ConsoleLogger({ colors: false }),
  abortOnError: false,
});
app.enableShutdownHooks();
app.useWebSocketAdapter(new WsAdapter(app));
const options = { host: '127.0.0.1', port: number('RPC_PORT') };
app.connectMicroservice({ transport: Transport.TCP, options });
await app.startAllMicroservices();
await app.listen(number('HTTP_PORT'), '127.0.0.1');
process.stdin.once('data', () => void app.close().then(() => process.stdin.destroy()));
process.stdout.write('READY\n');
