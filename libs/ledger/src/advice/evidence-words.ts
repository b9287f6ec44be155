import type { Evidence } from './finding.interface.js';

/** A finding's numbers in one clause: `flush time 140 ms, workers busy 97 %`. @internal */
export function evidenceWords(evidence: readonly Evidence[]): string {
  return evidence.map(wordsOf).join(', ');
}

function wordsOf({ name, value, unit }: Evidence): string {
  const figure = value.toLocaleString('en-US');
  return unit === '' ? `${name} ${figure}` : `${name} ${figure} ${unit}`;
}
