import { Body, Controller, Get, Next, Query, Req, Res, Response, Sse } from '@nestjs/common';
import { NEVER } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { methodNameOf, responseModeOf } from './response-mode.js';
import { Usage } from './usage.decorator.js';

/** Replaces a method by one of another name, as tracing decorators do. */
function Wrapped(): MethodDecorator {
  return (_target, _key, descriptor) => {
    const inner = descriptor.value as unknown as () => unknown;
    const wrapper = function (this: unknown): unknown {
      return inner.call(this);
    };
    descriptor.value = wrapper as never;
  };
}

@Controller()
class Handlers {
  @Get()
  bare(): void {}

  @Get()
  inputs(
    @Req() _r: unknown,
    @Query() _q: unknown,
    @Body() _b: unknown,
    @Usage() _u: object,
  ): void {}

  @Get()
  res(@Query() _query: unknown, @Res() _response: unknown): void {}

  @Get()
  response(@Response() _response: unknown): void {}

  @Get()
  next(@Next() _next: unknown): void {}

  @Get()
  passthrough(@Usage() _u: object, @Res({ passthrough: true }) _response: unknown): void {}

  @Sse()
  sse(@Res() _response: unknown): unknown {
    return NEVER;
  }

  @Wrapped()
  @Get()
  wrapped(@Res() _response: unknown): void {}
}

class Heirs extends Handlers {}

describe('responseModeOf', () => {
  it.each([
    ['bare', 'plain'],
    ['inputs', 'plain'],
    ['res', 'manual'],
    ['response', 'manual'],
    ['next', 'manual'],
    ['passthrough', 'passthrough'],
    ['sse', 'sse'],
    ['wrapped', 'manual'],
  ] as const)('tells that %s is %s, inherited or not', (method, mode) => {
    for (const controller of [Handlers, Heirs]) {
      const handler = controller.prototype[method];
      const key = methodNameOf(controller.prototype, handler);
      expect(responseModeOf(controller, key, handler)).toBe(mode);
    }
  });
});
