import { describe, expect, it } from 'vitest';
import { csvLine, csvLines } from './csv-lines.js';

const textOf = async (...rows: Record<string, string | number | null>[]): Promise<string> => {
  async function* given() {
    yield* rows;
  }
  let text = '';
  for await (const line of csvLines(given())) text += line;
  return text;
};

describe('a report as CSV', () => {
  it('names the columns, then has a line for each row', async () => {
    const text = await textOf(
      { model: 'a,"b"', entries: 2, costNanos: '-5' },
      { model: null, entries: 1, costNanos: null },
    );
    expect(text).toBe('model,entries,costNanos\r\n"a,""b""",2,-5\r\n,1,\r\n');
  });

  it('is empty without rows', async () => {
    expect(await textOf()).toBe('');
  });

  it.each([
    ['=1+1', "'=1+1"],
    ['+cmd', "'+cmd"],
    ['-2+3', "'-2+3"],
    ['@sum', "'@sum"],
    ['＝1', "'＝1"],
    ['\t=1', '"\'\t\'=1"'],
    ['\n=1', '"\n\'=1"'],
    ['-12.5', '-12.5'],
    ['9223372036854775807', '9223372036854775807'],
    ['=a,b', '"\'=a,b"'],
    ['gpt-4o', 'gpt-4o'],
    ['me@example.com', 'me@example.com'],
    ["it's", "it's"],
  ])('gives a spreadsheet no formula: %j', (text, field) => {
    expect(csvLine([text])).toBe(`${field}\r\n`);
  });

  it.each([',', ';', '\t', '|', ':', ' ', '^', '~', '/'])(
    'gives no formula to a program that cuts lines at %j, and knows no quotes within a cell',
    async (separator) => {
      const texts = ['=1', '-2', '+3', '@4', '＋5'];
      const model = `a${texts.map((text) => separator + text).join('')}\n@6\r\n-7${separator}"=8"`;
      const text = await textOf({ day: '2026-01-01', model, entries: 1 });
      const cells = text.split(/[\r\n]+/).flatMap((line) => line.split(separator));
      expect(cells.length).toBeGreaterThan(5);
      const bare = cells.flatMap((cell) => [cell, cell.replace(/^"+/, '')]);
      expect(bare.filter((cell) => /^[=+\-@＋]/.test(cell))).toEqual([]);
    },
  );
});
