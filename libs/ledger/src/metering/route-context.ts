import type { ContextType, ExecutionContext, Type } from '@nestjs/common';
import type { UsagePlan } from './usage-plan.js';

type HttpHost = ReturnType<ExecutionContext['switchToHttp']>;
type RpcHost = ReturnType<ExecutionContext['switchToRpc']>;
type WsHost = ReturnType<ExecutionContext['switchToWs']>;

/**
 * The context of a route, like the one that Nest's enhancers get. Nest creates a context only for
 * enhancers, so a route without guards and interceptors has none; this one is created when a mapper
 * reads it.
 *
 * @internal
 */
export class RouteContext implements ExecutionContext {
  readonly #plan: UsagePlan;
  readonly #args: readonly [request: unknown, response: unknown, next: unknown];

  constructor(plan: UsagePlan, request: unknown, response: unknown) {
    this.#plan = plan;
    this.#args = [request, response, undefined];
  }

  getClass<T = unknown>(): Type<T> {
    return this.#plan.type as Type<T>;
  }

  getHandler(): (...args: never[]) => unknown {
    return this.#plan.method;
  }

  getArgs<T extends unknown[] = unknown[]>(): T {
    return [...this.#args] as unknown as T;
  }

  getArgByIndex<T = unknown>(index: number): T {
    return this.#args[index] as T;
  }

  getType<T extends string = ContextType>(): T {
    return 'http' as T;
  }

  switchToHttp(): HttpHost {
    const [request, response, next] = this.#args;
    return {
      getRequest: <T>() => request as T,
      getResponse: <T>() => response as T,
      getNext: <T>() => next as T,
    };
  }

  switchToRpc(): RpcHost {
    return { getData: <T>() => this.#args[0] as T, getContext: <T>() => this.#args[1] as T };
  }

  switchToWs(): WsHost {
    return {
      getClient: <T>() => this.#args[0] as T,
      getData: <T>() => this.#args[1] as T,
      getPattern: () => '',
    };
  }
}
