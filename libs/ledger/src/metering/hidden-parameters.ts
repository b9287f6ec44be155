import { Get, Req, Res, type Type } from '@nestjs/common';
import 'reflect-metadata';
import { onePerNest } from '../nest/one-per-nest.js';
import type { ResponseMode } from './response-mode.js';

/** Index of the first of a route's two hidden parameters, by class and method. */
const indexes = onePerNest('hidden parameters', () => new WeakMap<object, Map<unknown, number>>());

class Probe {
  @Get()
  route(): void {}

  hidden(@Req() _request: unknown, @Res() _response: unknown): void {}
}

const routeKeys: unknown[] = Reflect.getMetadataKeys(
  (Probe.prototype as unknown as Record<string, object>)['route']!,
);
const [parametersKey] = Reflect.getMetadataKeys(Probe, 'hidden') as unknown[];
/** Kinds of parameter: Nest's keys are `kind:index`. */
const [REQUEST, RESPONSE] = Object.keys(
  Reflect.getMetadata(parametersKey, Probe, 'hidden') as Parameters,
)
  .sort((a, b) => Number(a.split(':')[1]) - Number(b.split(':')[1]))
  .map((name) => name.split(':')[0]);
/** Metadata of message handlers and resolvers, for which the same numbers mean other parameters. */
const OTHER_HANDLER = /^(microservices:|websockets?:|graphql:|message$)/;

/** Whether a method is a route and nothing else. @internal */
export function isRoute(method: object): boolean {
  const keys: unknown[] = Reflect.getMetadataKeys(method);
  const isOther = keys.some((key) => typeof key === 'string' && OTHER_HANDLER.test(key));
  return !isOther && routeKeys.every((key) => keys.includes(key));
}

/**
 * Adds two parameters to a route, request and response, after its declared ones. So its method
 * knows its request without an interceptor, at almost no cost: Nest passes both unchanged and
 * without pipes.
 *
 * @internal
 */
export function addHiddenParameters(type: Type, key: string | symbol, mode: ResponseMode): void {
  if (indexes.get(type)?.has(key)) return;
  const inherited = inheritedIndex(type, key);
  const isOwn = Reflect.hasOwnMetadata(parametersKey, type, key);
  const index = inherited !== undefined && !isOwn ? inherited : nextIndex(type, key, inherited);
  let keys = indexes.get(type);
  if (keys === undefined) indexes.set(type, (keys = new Map<string | symbol, number>()));
  keys.set(key, index);
  if (index === inherited && !isOwn) return;
  const prototype = type.prototype as object;
  Req()(prototype, key, index);
  // Otherwise Nest would leave the response to the method.
  const answered = mode === 'manual' ? {} : { passthrough: true };
  Res(answered as { passthrough: boolean })(prototype, key, index + 1);
}

type Parameters = Readonly<Record<string, { readonly index: number }>>;

/** After all declared parameters, except those added for a parent class. */
function nextIndex(type: Type, key: string | symbol, hidden: number | undefined): number {
  const parameters = Reflect.getMetadata(parametersKey, type, key) as Parameters | undefined;
  const [request, response] = hidden === undefined ? [] : [`${hidden}`, `${hidden + 1}`];
  const declared = Object.entries(parameters ?? {})
    .filter(([name]) => name !== `${REQUEST}:${request}` && name !== `${RESPONSE}:${response}`)
    .map(([, { index }]) => index);
  return Math.max(-1, ...declared) + 1;
}

function inheritedIndex(type: object, key: string | symbol): number | undefined {
  for (let base: unknown = type; typeof base === 'function'; base = Object.getPrototypeOf(base)) {
    const index = indexes.get(base)?.get(key);
    if (index !== undefined) return index;
  }
  return undefined;
}

/** The index of a route's hidden request; undefined if it has none. @internal */
export function hiddenIndexOf(type: object, key: string | symbol): number | undefined {
  return indexes.get(type)?.get(key);
}
