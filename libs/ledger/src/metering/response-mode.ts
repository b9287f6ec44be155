import { Get, Next, Res, Sse, type ExecutionContext } from '@nestjs/common';
import 'reflect-metadata';

/**
 * Who answers: `plain`: Nest, with the result; `passthrough`: Nest, but the handler holds the
 * response too; `manual`: the handler, with `@Res()` or `@Next()`; `sse`: Nest, event by event.
 *
 * @internal
 */
export type ResponseMode = 'plain' | 'passthrough' | 'manual' | 'sse';

/**
 * Nest doesn't export the keys under which its decorators keep what they were told, so they are
 * read off a class that wears them: that works with whatever keys the installed version uses.
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
const answeringKinds = new Set(parameterKinds(Probe, 'manual'));

/** Tells by its decorators who answers for a context's handler. @internal */
export function responseModeOf(context: ExecutionContext): ResponseMode {
  const handler = context.getHandler();
  if (sseKeys.some((key: unknown) => Reflect.hasMetadata(key, handler))) return 'sse';
  const controller = context.getClass();
  const method = methodNameOf(controller.prototype as object, handler);
  if (!parameterKinds(controller, method).some((kind) => answeringKinds.has(kind))) {
    return 'plain';
  }
  return passthroughKeys.some((key: unknown) => Reflect.getMetadata(key, controller, method))
    ? 'passthrough'
    : 'manual';
}

/** The handler's name as a member: a decorator that wraps a method may leave `name` another. */
function methodNameOf(prototype: object, handler: { readonly name: string }): string {
  let holder: object | null = prototype;
  for (; holder; holder = Object.getPrototypeOf(holder) as object | null) {
    const members = Object.entries(Object.getOwnPropertyDescriptors(holder));
    const found = members.find(([, member]) => member.value === handler);
    if (found) return found[0];
  }
  return handler.name;
}

function parameterKinds(controller: object, method: string): string[] {
  return parameterKeys
    .map((key) => Reflect.getMetadata(key, controller, method) as object | undefined)
    .flatMap((parameters) => Object.keys(parameters ?? {}))
    .map((parameter) => parameter.split(':')[0] ?? '');
}
