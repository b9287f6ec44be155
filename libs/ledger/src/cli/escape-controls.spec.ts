import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escapeControls, escapeInLine, escapingOutput } from './escape-controls.js';
import { outputTo } from './fixtures/command-output.fixture.js';

describe('what a command shows', () => {
  it.each([
    ['\u001b[2J\u001b]0;title\u0007', '\\u001b[2J\\u001b]0;title\\u0007'],
    ['\u009b31m', '\\u009b31m'],
    ['a\rb\u0000c\u007f', 'a\\u000db\\u0000c\\u007f'],
    // Shown, this would read "txt.exe" backwards.
    ['a\u202eexe.txt', 'a\\u202eexe.txt'],
    ['\u2066x\u2069\u200f\u2028', '\\u2066x\\u2069\\u200f\\u2028'],
    ['naïve 😀\tand\nmore', 'naïve 😀\tand\nmore'],
  ])('does nothing to a terminal: %j', (text, shown) => {
    expect(escapeControls(text)).toBe(shown);
  });

  it('keeps a name within its line', () => {
    expect(escapeInLine('a\nreplayed: 9 written\t')).toBe('a\\u000areplayed: 9 written\\u0009');
  });

  it('is the same JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.string({ unit: 'binary' }), (value, text) => {
        const both = { value, [text]: text };
        const shown = escapeControls(JSON.stringify(both));
        expect(JSON.parse(shown)).toEqual(JSON.parse(JSON.stringify(both)));
      }),
    );
  });

  it('goes through the one output, labels of progress too', () => {
    const said: string[] = [];
    const output = { ...outputTo((text) => void said.push(text)) };
    output.progress = (label) => {
      said.push(label);
      return { at: () => {}, end: () => {} };
    };
    const safe = escapingOutput(output);
    safe.line('\u001b1');
    safe.warn('\u001b2');
    safe.progress('\u001b3\n', 1);
    expect(said).toEqual(['\\u001b1', '\\u001b2', '\\u001b3\\u000a']);
  });
});
