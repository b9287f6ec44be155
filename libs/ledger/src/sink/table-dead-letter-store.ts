import { settingsCommand } from '../postgres/transaction-settings.js';
import { createHash, randomBytes } from 'node:crypto';
import { formatUuid } from '../codec/uuid.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { tableNames } from '../postgres/table-names.js';
import type { DeadLetter, LedgerDeadLetterStore } from '../ports/dead-letter-store.interface.js';
import { escapeEntry } from './escaped-entry.js';
import { classifyPgError, toSinkError } from '../postgres/classify-pg-error.js';
import { CommandStatement } from '../postgres/command-statement.js';
import { Deadline } from '../clock/deadline.js';
import type { PgConnections } from '../postgres/pg-connections.js';
import { StatementError } from '../postgres/pg-lease.js';
import { readPgError } from '../postgres/read-pg-error.js';

const TEXT_OID = 25;
/** Class of texts that the server cannot read or store. Source: PostgreSQL 18, appendix A. */
const DATA_EXCEPTION = '22';

/** @internal */
export interface TableDeadLetterStoreOptions {
  readonly connections: PgConnections;
  readonly table: LedgerTable;
  /** Time limit of one call of `store`, in milliseconds. */
  readonly timeoutMs: number;
}

/**
 * Keeps dead letters in the ledger's second table. The same letter is kept once, for any number of
 * calls: its id is a hash of its content, or random per object if it has no uuid. Entries that the
 * database's encoding cannot hold are kept in ASCII form.
 *
 * @internal
 */
export class TableDeadLetterStore implements LedgerDeadLetterStore {
  readonly #options: TableDeadLetterStoreOptions;
  readonly #ids = new WeakMap<DeadLetter, string>();

  constructor(options: TableDeadLetterStoreOptions) {
    this.#options = options;
  }

  /** @throws SinkTransientError, SinkHaltError or SinkRowError if they are not kept */
  async store(letters: readonly DeadLetter[]): Promise<void> {
    if (letters.length === 0) return;
    const deadline = new Deadline(this.#options.timeoutMs);
    const rows = letters.map((letter) => this.#rowOf(letter));
    try {
      await this.#insert(rows, deadline);
    } catch (error) {
      if (!isLedgerError(error, 'SINK_ROW') || error.sqlState?.startsWith(DATA_EXCEPTION) !== true)
        throw error;
      // The database's encoding may not hold the entries' text.
      const escaped = rows.map(({ entry, ...row }) => {
        const json = storableJson(JSON.stringify(entry, bigintAsString));
        return { ...row, entry: isAscii(json) ? (JSON.parse(json) as unknown) : escapeEntry(json) };
      });
      await this.#insert(escaped, deadline);
    }
  }

  async #insert(rows: readonly Record<string, unknown>[], deadline: Deadline): Promise<void> {
    const { connections, table } = this.#options;
    await connections.use(deadline, async (session) => {
      const sql = insertSql(tableNames(table, session.schema).sqlDeadLetters);
      const value = Buffer.from(storableJson(JSON.stringify(rows, bigintAsString)));
      const commands = [
        settingsCommand(session.deadline, true),
        { sql, parameters: [{ oid: TEXT_OID, value }] },
      ];
      try {
        await session.run(new CommandStatement(commands));
      } catch (error) {
        throw translate(error);
      }
    });
  }

  #rowOf(letter: DeadLetter): Record<string, unknown> {
    const { attempts, deadLetteredAt, detail, entry, queuedAt, reason, sqlState, uuid } = letter;
    return {
      id: this.#idOf(letter),
      uuid,
      reason,
      sql_state: sqlState,
      detail,
      attempts,
      queued_at: new Date(queuedAt).toISOString(),
      dead_lettered_at: new Date(deadLetteredAt).toISOString(),
      entry,
    };
  }

  #idOf(letter: DeadLetter): string {
    const known = this.#ids.get(letter);
    if (known) return known;
    const id = letter.uuid === undefined ? randomBytes(16) : hashOf(letter);
    // Version 8 (own scheme) and the variant. Source: RFC 9562.
    id[6] = (id[6]! & 0x0f) | 0x80;
    id[8] = (id[8]! & 0x3f) | 0x80;
    const text = formatUuid(id, 0);
    this.#ids.set(letter, text);
    return text;
  }
}

function hashOf(letter: DeadLetter): Buffer {
  const { entry, queuedAt, reason, sqlState, uuid } = letter;
  const text = JSON.stringify([uuid, reason, sqlState, queuedAt, entry], bigintAsString);
  return createHash('sha256').update(text).digest().subarray(0, 16);
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}

function bigintAsString(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}

/**
 * jsonb accepts neither U+0000 nor half a surrogate pair, both valid in JSON; each becomes U+FFFD.
 * `JSON.stringify` writes a surrogate as an escape only if its other half is missing.
 */
function storableJson(json: string): string {
  return json.replaceAll(/\\(?:u(0000|d[89a-f][0-9a-f]{2})|.)/gs, (escape, unfit) =>
    unfit === undefined ? escape : '\\ufffd',
  );
}

function insertSql(sqlTable: string): string {
  const columns =
    'id, uuid, reason, sql_state, detail, attempts, queued_at, dead_lettered_at, entry';
  return (
    `INSERT INTO ${sqlTable} (${columns}) SELECT ${columns} ` +
    'FROM jsonb_to_recordset($1::jsonb) AS letters (id uuid, uuid uuid, reason text, ' +
    'sql_state text, detail text, attempts integer, queued_at timestamptz, ' +
    'dead_lettered_at timestamptz, entry jsonb) ON CONFLICT (id) DO NOTHING'
  );
}

function translate(error: unknown): unknown {
  if (isLedgerError(error)) return error;
  if (!(error instanceof StatementError)) return toSinkError(readPgError(error), 'transient', true);
  return toSinkError(error.failure, classifyPgError(error.failure), error.outcomeKnown);
}
