import { NoSuchNodeError } from './node-version.js';

/** Rows of the table that the matrix ends with. Stacks run side by side, so each has its own. */
export class Cells {
  results = [];

  /** Does one cell, and notes how long it took and how it ended. @returns what it gave */
  async do(name, work) {
    const began = Date.now();
    const note = (result, lines = '') => {
      this.results.push({ name, seconds: (Date.now() - began) / 1000, lines, result });
    };
    try {
      const given = await work();
      note('passed', given?.lines);
      return given;
    } catch (error) {
      console.error(`${name}: ${error.message}`);
      note(error instanceof NoSuchNodeError ? `NOT RUN: ${error.message}` : 'FAILED');
      return undefined;
    }
  }
}

/** Prints the table and `N passed, N failed`. @returns how many failed */
export function printCells(results) {
  console.log('\n| Cell | Seconds | Lines | Result |\n| --- | ---: | ---: | --- |');
  for (const { name, seconds, lines, result } of results) {
    console.log(`| ${name} | ${seconds.toFixed(1)} | ${lines} | ${result} |`);
  }
  const count = (word) => results.filter(({ result }) => result.startsWith(word)).length;
  const failed = count('FAILED');
  console.log(`${count('passed')} passed, ${failed} failed`);
  return failed;
}
