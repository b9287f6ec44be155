import type { CommandOutput } from './command-output.js';

/**
 * What a terminal may act on, or what makes a text look like another: control characters of both
 * kinds but line break and tab, line separators, and marks of writing direction.
 */
const CONTROLS =
  // eslint-disable-next-line no-control-regex -- these are what it looks for
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/**
 * Shows control characters as `\u001b`, so that a text of somebody's does nothing to a terminal. JSON
 * stays the same value: there they stand in strings only. Line breaks and tabs are kept.
 *
 * @internal
 */
export function escapeControls(text: string): string {
  return text.replaceAll(CONTROLS, escaped);
}

/** As `escapeControls`, for a name or a reason: it cannot begin a line of its own. @internal */
export function escapeInLine(text: string): string {
  return escapeControls(text).replaceAll(/[\n\t]/g, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** An output on which no command can act on the terminal. @internal */
export function escapingOutput(output: CommandOutput): CommandOutput {
  return {
    line: (text) => output.line(escapeControls(text)),
    warn: (text) => output.warn(escapeControls(text)),
    progress: (label, total, unit) => output.progress(escapeInLine(label), total, unit),
  };
}
