import pg from 'pg';
import { DataSource } from 'typeorm';
import { newEntryUuid } from '../../libs/ledger/src/codec/uuid.js';
import { columnName } from '../../libs/ledger/src/entry/columns.js';
import { definitionOf, makeEntry, tableOf, type BenchEntry, type EntryKind } from './entries.js';

/** One common way of writing entries in applications. */
export interface UsersWay {
  readonly name: string;
  /** Entries of one statement. */
  readonly batchSize: number;
  readonly connections: number;
  write(entries: readonly Ready[]): Promise<unknown>;
}

/** An entry with the values that every way needs; made before the measurement. */
export type Ready = BenchEntry & { readonly uuid: string; readonly createdAt: Date };

export function makeReady(kind: EntryKind, count: number): Ready[] {
  return Array.from({ length: count }, (_, i) => ({
    ...makeEntry(kind, i),
    uuid: newEntryUuid(),
    createdAt: new Date(),
    direction: 'consume',
  }));
}

const FIELDS: readonly (readonly [field: string, type: string])[] = [
  ['uuid', 'uuid'],
  ['userId', 'bigint'],
  ['apiKeyId', 'bigint'],
  ['serviceId', 'bigint'],
  ['promptTokens', 'integer'],
  ['completionTokens', 'integer'],
  ['direction', 'text'],
  ['memo', 'text'],
  ['attributes', 'jsonb'],
  ['createdAt', 'timestamptz'],
];

/** Common ways on one database; `close` ends their connections. */
export class UsersWays {
  private constructor(
    private readonly kind: EntryKind,
    private readonly pool: pg.Pool,
    private readonly dataSource: DataSource,
  ) {}

  static async open(url: string, kind: EntryKind): Promise<UsersWays> {
    const { entity } = definitionOf(kind);
    const dataSource = new DataSource({ type: 'postgres', url, entities: [entity], poolSize: 10 });
    await dataSource.initialize();
    return new UsersWays(kind, new pg.Pool({ connectionString: url, max: 10 }), dataSource);
  }

  all(): UsersWay[] {
    const many = { batchSize: 1000, connections: 2 };
    return [
      { name: 'unnest, 1,000 rows', ...many, write: (entries) => this.#unnest(entries) },
      { name: 'multi-row VALUES, 1,000 rows', ...many, write: (entries) => this.#values(entries) },
      { name: 'TypeORM insert().values(), 1,000 rows', ...many, write: (e) => this.#insert(e) },
      { name: 'TypeORM repository.save(), 1,000 rows', ...many, write: (e) => this.#save(e) },
      ...[1, 2, 10].map((connections) => ({
        name: `one INSERT per entry, ${connections} connection${connections > 1 ? 's' : ''}`,
        batchSize: 1,
        connections,
        write: (entries: readonly Ready[]) => this.#values(entries),
      })),
    ];
  }

  get #fields(): (readonly [field: string, type: string])[] {
    return [...FIELDS, ...Object.entries(definitionOf(this.kind).columns)];
  }

  get #into(): string {
    const columns = this.#fields.map(([field]) => columnName(field)).join(', ');
    return `INSERT INTO ${tableOf(this.kind)} (${columns})`;
  }

  #values(entries: readonly Ready[]): Promise<unknown> {
    const fields = this.#fields;
    const parameters: unknown[] = [];
    const rows = entries.map((entry) => {
      const places = fields.map(([field]) => `$${parameters.push(entry[field] ?? null)}`);
      return `(${places.join(', ')})`;
    });
    return this.pool.query(`${this.#into} VALUES ${rows.join(', ')}`, parameters);
  }

  #unnest(entries: readonly Ready[]): Promise<unknown> {
    const fields = this.#fields;
    const arrays = fields.map(([, type], i) => `$${i + 1}::${type}[]`).join(', ');
    const parameters = fields.map(([field]) => entries.map((entry) => entry[field] ?? null));
    return this.pool.query(`${this.#into} SELECT * FROM unnest(${arrays})`, parameters);
  }

  #insert(entries: readonly Ready[]): Promise<unknown> {
    const { entity } = definitionOf(this.kind);
    const rows = entries as unknown as object[];
    return this.dataSource.createQueryBuilder().insert().into(entity).values(rows).execute();
  }

  #save(entries: readonly Ready[]): Promise<unknown> {
    const { entity } = definitionOf(this.kind);
    // save() changes entities, so each round needs new ones.
    const rows = entries.map((entry) => ({ ...entry }));
    return this.dataSource.getRepository(entity).save(rows as never);
  }

  /** Writes all entries, with as many concurrent statements as the way has connections. */
  static async run(way: UsersWay, entries: readonly Ready[]): Promise<void> {
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < entries.length) {
        const from = next;
        next += way.batchSize;
        await way.write(entries.slice(from, next));
      }
    };
    await Promise.all(Array.from({ length: way.connections }, worker));
  }

  async close(): Promise<void> {
    await this.pool.end();
    await this.dataSource.destroy();
  }
}
