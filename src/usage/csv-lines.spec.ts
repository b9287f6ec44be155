import { describe, expect, it } from 'vitest';
import { csvField, csvLines } from './csv-lines.js';

describe('a report as CSV', () => {
  it('names the columns, then has a line for each row', async () => {
    async function* rows() {
      yield { model: 'a,"b"', entries: 2, costNanos: '-5' };
      yield { model: null, entries: 1, costNanos: null };
    }
    const lines: string[] = [];
    for await (const line of csvLines(rows())) lines.push(line);
    expect(lines.join('')).toBe('model,entries,costNanos\r\n"a,""b""",2,-5\r\n,1,\r\n');
  });

  it.each([
    ['=1+1', "'=1+1"],
    ['+cmd', "'+cmd"],
    ['-2+3', "'-2+3"],
    ['@sum', "'@sum"],
    ['\t=1', '"\'\t\'=1"'],
    ['\n=1', '"\'\n\'=1"'],
    ['-12.5', '-12.5'],
    ['=a,b', '"\'=a,b"'],
  ])('gives a spreadsheet no formula: %j', (text, field) => {
    expect(csvField(text)).toBe(field);
  });

  it.each([';', '\t'])(
    'gives no formula to a spreadsheet that cuts lines at %j, and knows no quotes within a cell',
    async (separator) => {
      const model = 'a;=1;b\t+2\tc\n@3\r\n-4\t;=5;-6';
      async function* rows() {
        yield { day: '2026-01-01', model, entries: 1 };
      }
      let text = '';
      for await (const line of csvLines(rows())) text += line;
      const cells = text.split(/[\r\n]+/).flatMap((line) => line.split(separator));
      expect(cells.length).toBeGreaterThan(5);
      expect(cells.filter((cell) => /^[=+\-@]/.test(cell))).toEqual([]);
    },
  );
});
