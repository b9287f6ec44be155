import { escapeInLine } from './escape-controls.js';
import type { Fate } from './replayer.js';

/** Reasons that are shown; more of them are counted together. */
const MAX_REASONS = 10;
/** Reasons that are kept apart at all: a file may have another one in each line. */
const MAX_KEPT_REASONS = 1000;
const OTHER_REASONS = 'other reasons';

/** Counts what became of the entries of one replay. @internal */
export class ReplayReport {
  written = 0;
  present = 0;
  missing = 0;
  refused = 0;
  /** Last lines, and last frames of rows, that their writer could not finish. */
  halfLines = 0;
  unreadable = 0;
  /** Files that can't be read to their end, or not be moved aside. */
  failedFiles = 0;
  readonly #reasons = new Map<string, number>();

  add(fate: Fate): void {
    this[fate.outcome]++;
    if (fate.outcome !== 'refused') return;
    // Rows have other numbers each time; the reason is the same.
    const why = fate.why.replace(/, row \d+ of the batch/, '');
    const isKept = this.#reasons.has(why) || this.#reasons.size < MAX_KEPT_REASONS;
    const reason = isKept ? why : OTHER_REASONS;
    this.#reasons.set(reason, (this.#reasons.get(reason) ?? 0) + 1);
  }

  /** Entries and lines looked at so far. */
  get total(): number {
    const { written, present, missing, refused, halfLines, unreadable } = this;
    return written + present + missing + refused + halfLines + unreadable;
  }

  /** Whether something is left that a person has to look at. */
  get isIncomplete(): boolean {
    return this.refused + this.unreadable + this.failedFiles > 0;
  }

  /** Plain counts, and each reason with its count. */
  toJSON(): Record<string, unknown> {
    const { written, present, missing, refused, halfLines, unreadable, failedFiles } = this;
    const reasons = Object.fromEntries(this.#reasons);
    const left = { halfLines, unreadable, failedFiles };
    return { written, present, missing, refused, ...left, reasons };
  }

  lines(isDryRun: boolean): string[] {
    const { written, present, missing, refused, halfLines, unreadable } = this;
    const done = isDryRun ? `${missing} would be written` : `${written} written`;
    const rest = `${present} already there, ${refused} ${isDryRun ? 'would be refused' : 'refused'}`;
    const lines = [`${isDryRun ? 'dry run' : 'replayed'}: ${done}, ${rest}`];
    const reasons = [...this.#reasons].sort(([, a], [, b]) => b - a);
    for (const [why, count] of reasons.slice(0, MAX_REASONS))
      lines.push(`  ${count} × ${escapeInLine(why)}`);
    if (reasons.length > MAX_REASONS) lines.push(`  and other reasons`);
    if (halfLines > 0) lines.push(`skipped ${halfLines} half-written last line(s)`);
    if (unreadable > 0) lines.push(`skipped ${unreadable} line(s) that can't be read`);
    if (this.failedFiles > 0) lines.push(`${this.failedFiles} file(s) can't be read or moved`);
    return lines;
  }
}
