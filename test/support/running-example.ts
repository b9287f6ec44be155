import type { INestApplication, INestApplicationContext, Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { inject, vi } from 'vitest';
import { OwnSchema } from '../../libs/ledger/src/postgres/fixtures/own-schema.fixture.js';

/** An application of `examples/`, in this process, on its own schema. */
export class RunningExample<App extends INestApplicationContext> {
  private constructor(
    readonly app: App,
    readonly schema: OwnSchema,
  ) {}

  /** With an HTTP server on a free port. */
  static async serve(module: Type): Promise<RunningExample<INestApplication>> {
    return RunningExample.start(async () => {
      const app = await NestFactory.create(module, { logger: false, abortOnError: false });
      return app.listen(0, '127.0.0.1').then(() => app);
    });
  }

  /** Without HTTP. @param prepare runs before it is started */
  static async runContext(
    module: Type,
    prepare?: (schema: OwnSchema) => Promise<unknown>,
  ): Promise<RunningExample<INestApplicationContext>> {
    const options = { logger: false, abortOnError: false } as const;
    return RunningExample.start(
      () => NestFactory.createApplicationContext(module, options),
      prepare,
    );
  }

  private static async start<App extends INestApplicationContext>(
    create: () => Promise<App>,
    prepare?: (schema: OwnSchema) => Promise<unknown>,
  ): Promise<RunningExample<App>> {
    const schema = await OwnSchema.create(inject('databaseUrl'));
    try {
      await prepare?.(schema);
      vi.stubEnv('LEDGER_DATABASE_URL', schema.url);
      return new RunningExample(await create(), schema);
    } catch (error) {
      await schema.drop();
      throw error;
    } finally {
      vi.unstubAllEnvs();
    }
  }

  /** Sends JSON. @param path from the application's address */
  async send(method: 'POST' | 'DELETE', path: string, body: unknown): Promise<Response> {
    const response = await fetch(await this.at(path), {
      method,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return response;
  }

  /** Address of a path. */
  async at(path: string): Promise<string> {
    return `${await (this.app as unknown as INestApplication).getUrl()}${path}`;
  }

  /** Ends the application, which writes what it holds. @returns all rows of a table */
  async rowsAtTheEnd(table = 'usage_entries'): Promise<Record<string, any>[]> {
    await this.app.close();
    return this.schema.query(`SELECT * FROM ${table} ORDER BY created_at, uuid`);
  }

  async drop(): Promise<void> {
    await this.app.close();
    await this.schema.drop();
  }
}
