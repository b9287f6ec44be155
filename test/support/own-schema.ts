import { randomUUID } from 'node:crypto';
import pg from 'pg';

/** A schema that no other test knows, on the suite's server. */
export class OwnSchema {
  private constructor(
    readonly name: string,
    /** Connection string whose search path is this schema. */
    readonly url: string,
    private readonly client: pg.Client,
  ) {}

  /** @param databaseUrl of a role that may create schemas */
  static async create(databaseUrl: string): Promise<OwnSchema> {
    const name = `own_${randomUUID().slice(0, 8)}`;
    const url = new URL(databaseUrl);
    url.searchParams.set('options', `-csearch_path=${name}`);
    // A space in a URL's query may be spelled `+`, which pg takes for a plus.
    const client = new pg.Client({ connectionString: url.href.replaceAll('+', '%20') });
    await client.connect();
    await client.query(`CREATE SCHEMA ${name}`);
    return new OwnSchema(name, url.href.replaceAll('+', '%20'), client);
  }

  /** Rows of one statement, or of nothing if it has none. */
  async query(sql: string, values?: unknown[]): Promise<Record<string, any>[]> {
    // Several statements answer with a list of results.
    const { rows } = (await this.client.query(sql, values)) as { rows?: Record<string, any>[] };
    return rows ?? [];
  }

  /** Drops it with all that is in it. */
  async drop(): Promise<void> {
    await this.client.query(`DROP SCHEMA ${this.name} CASCADE`);
    await this.client.end();
  }
}
