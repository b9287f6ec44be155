import type { EntryFault } from '../codec/entry-parser.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type { Counters } from '../stats/counters.js';

/** Maximum reported names: they may come from requests, and nobody reads a thousand lines. */
const MAX_TOLD = 100;
/** Shown characters of a name. */
const MAX_NAME_LENGTH = 80;
const PLAIN_NAME = /^[A-Za-z_$][\w$]*$/;

/** Dependencies of the reporter. */
export interface UnknownFieldReporterParts {
  readonly counters: Counters;
  readonly logger: LedgerLogger;
  /** Names of the fields that an entry may have. */
  readonly fields: readonly string[];
  /** Finds the field with the closest name. */
  readonly nearest: (name: string, fields: readonly string[]) => string;
  /** Whether such an entry is invalid: `unknownFields: 'reject'`. */
  readonly isRejecting: boolean;
}

/**
 * Counts properties that match no field, and reports each name once. Metering thus continues if a
 * vendor adds a figure to its answers, and a misspelt field does not silently become 0.
 *
 * @internal
 */
export class UnknownFieldReporter {
  readonly #parts: UnknownFieldReporterParts;
  /** Rules by name, because the search for the closest field takes as long as many entries. */
  readonly #rules = new Map<string, string>();

  constructor(parts: UnknownFieldReporterParts) {
    this.#parts = parts;
  }

  /** Never throws. @returns the rule that the entry breaks, if such entries are refused */
  note(names: readonly string[]): EntryFault | undefined {
    const { counters, isRejecting, logger } = this.#parts;
    if (isRejecting) return { field: shown(names[0]!), rule: this.#ruleOf(names[0]!) };
    counters.unknownFields += names.length;
    for (const name of names) {
      if (this.#rules.has(name) || this.#rules.size >= MAX_TOLD) continue;
      const rule = this.#ruleOf(name);
      logger.warn(`WARNING: ${shown(name)} ${rule}; entries are recorded without it`);
    }
    return undefined;
  }

  #ruleOf(name: string): string {
    const known = this.#rules.get(name);
    if (known !== undefined) return known;
    if (this.#rules.size >= MAX_TOLD) return 'is not a field of this ledger';
    const { fields, nearest } = this.#parts;
    const closest = nearest(name.slice(0, MAX_NAME_LENGTH), fields);
    const rule = `is not a field of this ledger, the closest is ${closest}`;
    this.#rules.set(name, rule);
    return rule;
  }
}

/** A name as it may appear in a log line, without control characters. */
function shown(name: string): string {
  if (name.length <= MAX_NAME_LENGTH && PLAIN_NAME.test(name)) return name;
  const short = name.slice(0, MAX_NAME_LENGTH);
  return JSON.stringify(short.replace(/[^\x20-\x7e]/g, '?'));
}
