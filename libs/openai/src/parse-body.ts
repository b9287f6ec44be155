import { fieldsOf } from './fields.js';
import { faultOfShape } from './json-shape.js';

/**
 * How a body of any size is parsed, in a thread or not. Nothing here imports Nest: each thread would
 * load it.
 */

/** Why a body is refused: status and words. */
export interface BodyFault {
  readonly status: 400 | 413;
  readonly message: string;
}

/** What a body says, or why it is refused. */
export type ParsedBody =
  | { readonly json: unknown; readonly fault?: undefined }
  | { readonly json?: undefined; readonly fault: BodyFault };

/** What is shorter has not as many brackets as `faultOfShape` lets pass. */
const MIN_BYTES_AT_FAULT = 512;

/**
 * Parses a body, with a byte order mark before it or none, within the bounds of `faultOfShape`. Never
 * throws. Refuses the fields by which a program that merges objects carelessly may be taken over:
 * `__proto__`, and `constructor` with a `prototype`.
 */
export function parseBody(bytes: Buffer): ParsedBody {
  const tooMuch = bytes.length >= MIN_BYTES_AT_FAULT ? faultOfShape(bytes) : undefined;
  if (tooMuch) return { fault: { status: 413, message: `The body is too large: ${tooMuch}.` } };
  let json: unknown;
  try {
    json = parseJson(bytes);
  } catch {
    return { fault: { status: 400, message: 'The body is not valid JSON.' } };
  }
  // Both names have it, unless an escape hides a character; most bodies need no look at all.
  const isSuspect = bytes.includes('proto') || bytes.includes('\\u');
  if (!isSuspect || !hasPrototypeField(json)) return { json };
  const message = 'The body has a field that is not taken: __proto__, or constructor.prototype.';
  return { fault: { status: 400, message } };
}

/**
 * Parses a body that was parsed before, without the checks. @throws SyntaxError if it is no JSON
 */
export function parseJson(bytes: Buffer): unknown {
  return JSON.parse(bytes.toString('utf8').replace(/^\ufeff/, ''));
}

/** Looks at all objects, however deep they lie. */
function hasPrototypeField(json: unknown): boolean {
  const waiting = [json];
  while (waiting.length > 0) {
    const value = waiting.pop();
    if (typeof value !== 'object' || value === null) continue;
    if (Object.hasOwn(value, '__proto__')) return true;
    const constructor = Object.hasOwn(value, 'constructor') && value.constructor;
    if (Object.hasOwn(fieldsOf(constructor), 'prototype')) return true;
    for (const each of Object.values(value)) waiting.push(each);
  }
  return false;
}
