import { EventEmitter } from 'node:events';
import pg from 'pg';
import { DataSource } from 'typeorm';
import { describe, expect, inject, it } from 'vitest';
import { Deadline } from '../clock/deadline.js';
import { resolveLedgerOptions } from '../config/resolve-ledger-options.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { LedgerDatabase } from '../ledger.database.js';
import { javaScriptClient, usesNative } from './javascript-client.js';
import { open } from './open.js';
import { PgConnections } from './pg-connections.js';

const url = inject('databaseUrl');

/** A copy of pg's native client: no connection, and no startup message. */
class NativeClient extends EventEmitter {
  connect(callback: (error: Error) => void): void {
    callback(new Error('libpq is asked'));
  }
  query(): void {}
  cancel(): void {}
}

/** `pg` as TypeORM finds it if pg-native is installed. */
function driverWithNative(): object {
  const Base = Object.getPrototypeOf(pg.Pool) as new (options: object, client: unknown) => object;
  class BoundPool extends Base {
    constructor(options: object) {
      super(options, NativeClient);
    }
  }
  const native = { defaults: pg.defaults, types: pg.types, Client: NativeClient, Pool: BoundPool };
  return Object.create(pg, { native: { value: native } }) as object;
}

const WITH_NATIVE = { driver: driverWithNative(), nativeDriver: {} };

describe('with pg-native installed', () => {
  it('TypeORM chooses the native client, and this is detected', () => {
    const dataSource = new DataSource({ type: 'postgres', url, ...WITH_NATIVE });
    expect(usesNative(dataSource)).toBe(true);
    expect(usesNative(new DataSource({ type: 'postgres', url }))).toBe(false);
    expect(javaScriptClient(dataSource)).toBe(pg.Client);
  });

  it("the ledger's own connection still uses the JavaScript client", async () => {
    const dataSource = open({ url, ...WITH_NATIVE }, { applicationName: 'native', poolSize: 1 });
    expect(usesNative(dataSource)).toBe(false);
    const connections = new PgConnections({ dataSource: () => dataSource, ownsDataSource: true });
    const rows = await connections.use(new Deadline(5_000), (session) =>
      session.rows('SELECT 1 AS n'),
    );
    expect(rows).toEqual([{ n: '1' }]);
    await connections.close();
  });

  it("the application's DataSource is refused at boot, with the remedy", () => {
    const dataSource = new DataSource({ type: 'postgres', url, ...WITH_NATIVE });
    const database = new LedgerDatabase(resolveLedgerOptions({ dataSource }), 'default');
    let refusal: unknown;
    try {
      database.find(() => undefined);
    } catch (error) {
      refusal = error;
    }
    expect(isLedgerError(refusal, 'LEDGER_OPTIONS')).toBe(true);
    expect((refusal as Error).message).toMatch(/pg-native.*`connection` of its own/s);
  });

  it("the application's DataSource is accepted with `extra: { Client: pg.Client }`", async () => {
    const extra = { Client: pg.Client };
    const dataSource = new DataSource({ type: 'postgres', url, ...WITH_NATIVE, extra });
    const database = new LedgerDatabase(resolveLedgerOptions({ dataSource }), 'default');
    database.find(() => undefined);
    await dataSource.initialize();
    expect(await database.readMaxConnections()).toBeGreaterThan(0);
    await dataSource.destroy();
  });
});
