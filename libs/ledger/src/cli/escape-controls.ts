import type { CommandOutput } from './command-output.js';

/**
 * Characters that a terminal may act on or that disguise a text: control characters except line
 * break and tab, line separators, and marks of writing direction.
 */
const CONTROLS =
  // eslint-disable-next-line no-control-regex -- the characters to find
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

/**
 * Shows control characters as `\u001b`, so that foreign text has no effect on a terminal. JSON
 * keeps its value, because it contains them in strings only. Line breaks and tabs are kept.
 *
 * @internal
 */
export function escapeControls(text: string): string {
  return text.replaceAll(CONTROLS, escaped);
}

/** Like `escapeControls`, for a name or a reason, which must not begin a new line. @internal */
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
