import type { EntryFault } from '../codec/entry-parser.js';
import type { LedgerLogger } from '../ports/ledger-logger.interface.js';
import type { Counters } from '../stats/counters.js';

/** Names that are told of: they may come from a request, and nobody reads a thousand lines. */
const MAX_TOLD = 100;
/** Characters of a name that are shown. */
const MAX_NAME_LENGTH = 80;
const PLAIN_NAME = /^[A-Za-z_$][\w$]*$/;

/** What the reporter is made of. */
export interface UnknownFieldReporterParts {
  readonly counters: Counters;
  readonly logger: LedgerLogger;
  /** Names of the fields that an entry may have. */
  readonly fields: readonly string[];
  /** Finds the field whose name is closest to another name. */
  readonly nearest: (name: string, fields: readonly string[]) => string;
  /** Whether such an entry is invalid: `unknownFields: 'reject'`. */
  readonly isRejecting: boolean;
}

/**
 * Counts properties that no field has, and tells of each name once. A vendor that adds a figure to its
 * answers does not stop metering, and a misspelt field is not a 0 that nobody sees.
 *
 * @internal
 */
export class UnknownFieldReporter {
  readonly #parts: UnknownFieldReporterParts;
  /** Rules by name: to look for the closest field takes as long as many entries. */
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

/** A name can't break a log line, whoever chose it. */
function shown(name: string): string {
  if (name.length <= MAX_NAME_LENGTH && PLAIN_NAME.test(name)) return name;
  const short = name.slice(0, MAX_NAME_LENGTH);
  return JSON.stringify(short.replace(/[^\x20-\x7e]/g, '?'));
}
