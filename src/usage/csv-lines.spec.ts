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
    ['\t=1', "'\t=1"],
    ['\n=1', '"\'\n=1"'],
    ['-12.5', '-12.5'],
    ['=a,b', '"\'=a,b"'],
  ])('gives a spreadsheet no formula: %j', (text, field) => {
    expect(csvField(text)).toBe(field);
  });
});
