import { fieldsOf } from './fields.js';
import { faultOfShape } from './json-shape.js';

/**
 * Parsing of a body of any size, in a thread or not. Nothing here imports Nest, because each thread
 * would load it.
 */

/** The reason why a body is refused: status and message. */
export interface BodyFault {
  readonly status: 400 | 413;
  readonly message: string;
}

/** The content of a body, or the reason of its refusal. */
export type ParsedBody =
  | { readonly json: unknown; readonly fault?: undefined }
  | { readonly json?: undefined; readonly fault: BodyFault };

/** A shorter body can't have more brackets than `faultOfShape` allows. */
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
  // Both names contain it, unless an escape hides a character; most bodies need no check.
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

/** Checks all objects at any depth. */
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
