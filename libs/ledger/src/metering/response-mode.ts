import { Get, Next, Res, Sse, type Type } from '@nestjs/common';
import 'reflect-metadata';
import { hiddenIndexOf } from './hidden-parameters.js';

/**
 * How the response is sent. `plain`: by Nest, with the result; `passthrough`: by Nest, but the
 * handler has the response too; `manual`: by the handler, with `@Res()` or `@Next()`; `sse`: by
 * Nest, event by event.
 *
 * @internal
 */
export type ResponseMode = 'plain' | 'passthrough' | 'manual' | 'sse';

/**
 * Nest does not export the metadata keys of its decorators. They are read from a decorated class,
 * which works with the keys of any installed version.
 */
class Probe {
  @Get()
  plain(): void {}

  @Sse()
  sse(): void {}

  manual(@Res() _response: unknown, @Next() _next: unknown): void {}

  passthrough(@Res({ passthrough: true }) _response: unknown): void {}
}

const parameterKeys: unknown[] = Reflect.getMetadataKeys(Probe, 'manual');
const passthroughKeys = Reflect.getMetadataKeys(Probe, 'passthrough').filter(
  (key: unknown) => !parameterKeys.includes(key),
);
const routes = Probe.prototype as unknown as Record<'plain' | 'sse', object>;
const sseKeys = Reflect.getMetadataKeys(routes.sse).filter(
  (key: unknown) => !Reflect.hasMetadata(key, routes.plain),
);
/** Kinds of parameter that make the handler answer itself: Nest's keys are `kind:index`. */
const answeringKinds = new Set(parameterKinds(Probe, 'manual', Number.POSITIVE_INFINITY));

/** Finds by its decorators how a method's response is sent. @internal */
export function responseModeOf(type: Type, key: string | symbol, method: object): ResponseMode {
  if (sseKeys.some((metadata: unknown) => Reflect.hasMetadata(metadata, method))) return 'sse';
  const hiddenAt = hiddenIndexOf(type, key) ?? Number.POSITIVE_INFINITY;
  if (!parameterKinds(type, key, hiddenAt).some((kind) => answeringKinds.has(kind))) return 'plain';
  return isPassthrough(type, key) ? 'passthrough' : 'manual';
}

/** The handler's name as a member, because a wrapping decorator may change `name`. */
export function methodNameOf(prototype: object, handler: { readonly name: string }): string {
  let holder: object | null = prototype;
  for (; holder; holder = Object.getPrototypeOf(holder) as object | null) {
    const members = Object.entries(Object.getOwnPropertyDescriptors(holder));
    const found = members.find(([, member]) => member.value === handler);
    if (found) return found[0];
  }
  return handler.name;
}

function isPassthrough(type: object, key: string | symbol): boolean {
  return passthroughKeys.some((metadata) => Reflect.getMetadata(metadata, type, key) as unknown);
}

/** Among the parameters that the method declares. */
function parameterKinds(type: object, key: string | symbol, hiddenAt: number): string[] {
  return parameterKeys
    .map((metadata) => Reflect.getMetadata(metadata, type, key) as Parameters | undefined)
    .flatMap((parameters) => Object.entries(parameters ?? {}))
    .filter(([, { index }]) => index === undefined || index < hiddenAt)
    .map(([parameter]) => parameter.split(':')[0] ?? '');
}

type Parameters = Readonly<Record<string, { readonly index?: number }>>;
