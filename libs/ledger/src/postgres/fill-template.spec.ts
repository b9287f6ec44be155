import { describe, expect, it } from 'vitest';
import { fillTemplate } from './fill-template.js';

describe('fillTemplate', () => {
  it('puts values in place of words, dots included', () => {
    const values = { entries: '"a"."b"', 'entries.name': '"b"' };
    expect(fillTemplate('ON {entries} ({entries.name})', values)).toBe('ON "a"."b" ("b")');
  });

  it('inserts any value unchanged', () => {
    const values = { entries: `"{name} $& $1 '"`, name: 'x' };
    expect(fillTemplate('{entries}', values)).toBe(values.entries);
  });

  it('does not change other braces', () => {
    const sql = `SELECT '{}'::text[], '[0-9]{2}'`;
    expect(fillTemplate(sql, {})).toBe(sql);
  });

  it('gives a dollar quote another tag if a name would end it', () => {
    const values = { entries: '"$body$ and $body1$"' };
    expect(fillTemplate('$body$ {entries} $body$ $do$', values)).toBe(
      '$body2$ "$body$ and $body1$" $body2$ $do$',
    );
  });

  it('fails for a word without a value', () => {
    expect(() => fillTemplate('{entreis}', { entries: 'x' })).toThrow(/no value for \{entreis\}/);
  });
});
