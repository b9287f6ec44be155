import type { TextRow } from './pg-statement.js';
import type { Deadline } from '../clock/deadline.js';
import type { PgLease } from './pg-lease.js';

/** What is used of a `pg` client for several statements of one transaction. */
interface QueryClient {
  query(config: {
    text: string;
    values: readonly string[];
    rowMode: 'array';
  }): Promise<{ rows: unknown[][] }>;
}

/**
 * Several statements on one connection, one after the other. Every column is to be asked for as
 * text, so that no parser of an application's comes between.
 *
 * @internal
 */
export class PgSession {
  constructor(
    private readonly lease: PgLease,
    private readonly deadline: Deadline,
  ) {}

  /** @throws the error of `pg`, or DeadlineError; then the connection is not used again */
  async rows(text: string, values: readonly string[] = []): Promise<TextRow[]> {
    const client = this.lease.client as unknown as QueryClient;
    try {
      const query = client.query({ text, values, rowMode: 'array' });
      query.catch(() => {});
      return (await this.deadline.race(query)).rows as unknown as TextRow[];
    } catch (error) {
      if (!isAnswer(error)) await this.lease.discard();
      throw error;
    }
  }
}

/** The server said so, and the connection goes on. */
function isAnswer(error: unknown): boolean {
  return typeof (error as { severity?: unknown }).severity === 'string';
}
