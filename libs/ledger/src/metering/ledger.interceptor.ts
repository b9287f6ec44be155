import {
  Inject,
  Injectable,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { ModulesContainer, Reflector } from '@nestjs/core';
import type { Observable } from 'rxjs';
import { OnePerNest } from '../nest/one-per-nest.js';
import { callOf, passContext, setCall } from './call-in-progress.js';
import { HandlerCall } from './handler-call.js';
import { HttpHandlerCall } from './http-handler-call.js';
import { MeteredApplication, type Method } from './metered-application.js';
import { RECORD_USAGE } from './metered-classes.js';
import { methodNameOf } from './response-mode.js';
import { rawExchangeOf } from './response-over.js';
import type { RecordUsageMetadata, UsagePlan } from './usage-plan.js';

const reflector = new Reflector();

/**
 * Extends the calls of methods with `@RecordUsage` outwards: pipes that refuse a request and
 * interceptors that change its result then belong to the call. Other handlers cost one look-up. The
 * decorator works without this interceptor. Register it as `APP_INTERCEPTOR`, with
 * `useGlobalInterceptors`, or on controllers. If there are several, the outermost one observes the
 * call.
 *
 * @publicApi
 */
@OnePerNest('LedgerInterceptor')
@Injectable()
export class LedgerInterceptor implements NestInterceptor {
  /**
   * By controller, because a handler may be inherited; null without the decorator. Weak in both
   * keys, because a request-scoped controller may have its own handler functions.
   */
  private readonly handlers = new WeakMap<object, WeakMap<object, UsagePlan | null>>();

  constructor(@Inject(ModulesContainer) private readonly modules: ModulesContainer) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const plan = this.handlerOf(context);
    if (plan === null) return next.handle();
    const exchange = rawExchangeOf(context);
    const carrier = exchange?.response ?? context;
    // An outer interceptor of this class observes the call. If that one is idle, this is a retry.
    const known = callOf(carrier);
    if (known?.isActive) return next.handle();
    if (exchange) return HttpHandlerCall.of(plan, exchange, context).observe(next.handle());
    const call = known ?? new HandlerCall(plan, context);
    setCall(context, call);
    return call.observe(passContext(context, next));
  }

  private handlerOf(context: ExecutionContext): UsagePlan | null {
    const controller = context.getClass();
    const handlers = this.handlers.get(controller) ?? new WeakMap<object, UsagePlan | null>();
    const handler = context.getHandler();
    let known = handlers.get(handler);
    if (known === undefined) {
      known = this.learn(context) ?? null;
      this.handlers.set(controller, handlers.set(handler, known));
    }
    return known;
  }

  private learn(context: ExecutionContext): UsagePlan | undefined {
    const type = context.getClass();
    const handler = context.getHandler();
    const targets = [handler, type];
    const metadata = reflector.getAllAndOverride<RecordUsageMetadata | undefined>(
      RECORD_USAGE,
      targets,
    );
    if (metadata === undefined) return undefined;
    const key = methodNameOf(type.prototype as object, handler);
    return MeteredApplication.in(this.modules).plan(type, key, metadata, handler as Method);
  }
}
