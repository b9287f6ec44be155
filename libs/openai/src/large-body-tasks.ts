import { endpoints, promptOf } from './endpoints.js';
import { fieldsOf, type Fields } from './fields.js';
import { memberSplice, type Splice } from './json-members.js';
import { parseBody, parseJson, type BodyFault } from './parse-body.js';
import { planEcho, type PlannedEcho } from './plan-echo.js';
import { Tokenizer } from './tokenizer.js';

/**
 * Tasks with a large body in a thread. Nothing here imports Nest, because each thread would load
 * it.
 */

/** Characters of a name in a message; longer names are refused anyway. */
const MAX_NAME_LENGTH = 1024;

/** Facts of a body that the event loop needs for metering and forwarding. */
export interface BodyFacts {
  /** `model`, `user`, `stream` and `stream_options.include_usage`, as in the body. */
  readonly json: unknown;
  /** The change that makes a stream report its usage, if the body does not request it. */
  readonly askForUsage: Splice | undefined;
}

/** Facts, or the reason of the refusal. */
export type ReadBody =
  | { readonly facts: BodyFacts; readonly fault?: undefined }
  | { readonly facts?: undefined; readonly fault: BodyFault };

/** Parses a body and extracts the facts for metering. Never throws. */
export function readLargeBody(bytes: Buffer): ReadBody {
  const { json, fault } = parseBody(bytes);
  if (fault) return { fault };
  return { facts: { json: namesOf(json), askForUsage: usageSpliceOf(bytes, json) } };
}

/** Tokens of a body's prompt, counted for its model. */
export async function countLargePrompt(bytes: Buffer, endpoint: string): Promise<number> {
  const json = fieldsOf(parseJson(bytes));
  const { texts, markTokens } = promptOf(endpoints[endpoint as keyof typeof endpoints], json);
  const tokenizer = await Tokenizer.load(typeof json.model === 'string' ? json.model : '');
  return markTokens + countHere(tokenizer, texts);
}

/** The built-in provider's plan for a body. */
export async function planLargeEcho(bytes: Buffer): Promise<PlannedEcho> {
  return planEcho(parseJson(bytes), countHere);
}

function countHere(tokenizer: Tokenizer, texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + tokenizer.count(text), 0);
}

function namesOf(json: unknown): unknown {
  if (Array.isArray(json)) return [];
  if (typeof json !== 'object' || json === null) return shortOf(json);
  const { model, user, stream, stream_options: options } = json as Fields;
  const { include_usage: asks } = fieldsOf(options);
  return {
    model: shortOf(model),
    user: shortOf(user),
    stream: shortOf(stream),
    stream_options: { include_usage: shortOf(asks) },
  };
}

/** A shortened value on which a schema decides the same. */
function shortOf(value: unknown): unknown {
  if (typeof value === 'string') return value.slice(0, MAX_NAME_LENGTH);
  if (Array.isArray(value)) return [];
  return typeof value === 'object' && value !== null ? {} : value;
}

/** In bytes: as Latin-1 each byte is a character. */
function usageSpliceOf(bytes: Buffer, json: unknown): Splice | undefined {
  const { stream, stream_options: options } = fieldsOf(json);
  const given = fieldsOf(options);
  if (stream !== true || given.include_usage === true) return undefined;
  const value = Buffer.from(JSON.stringify({ ...given, include_usage: true })).toString('latin1');
  return memberSplice(bytes.toString('latin1'), 'stream_options', value);
}
