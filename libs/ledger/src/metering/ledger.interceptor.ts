import {
  Injectable,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type { Observable } from 'rxjs';
import { getLedgerToken } from '../ledger.tokens.js';
import { OnePerNest } from '../nest/one-per-nest.js';
import { HandlerCall, type UsagePlan } from './handler-call.js';
import { HttpHandlerCall } from './http-handler-call.js';
import { recordUsageOf, type RecordUsageMetadata } from './record-usage.metadata.js';
import { responseModeOf } from './response-mode.js';
import { rawExchangeOf } from './response-over.js';
import type { UsageCall } from './usage-call.interface.js';
import { UsageLog } from './usage-log.js';
import type { UsageRecorder } from '../ports/usage-recorder.interface.js';

/**
 * The call in progress. Nest hands one context object to all interceptors of a call, so that is
 * what an interceptor registered twice (globally and on a controller) knows its other self by. A
 * property and no WeakMap: thousands of young keys a second make each garbage collection longer.
 */
const CALL = Symbol('call');

type MarkedContext = ExecutionContext & { [CALL]?: HandlerCall };

/** One log a ledger, however many interceptors record to it: its "once a second" is theirs. */
const logs = new WeakMap<UsageRecorder, UsageLog>();

/**
 * Records usage of the handlers that carry `@RecordUsage`, which brings it along; all others it
 * passes by at the cost of one look-up. Where it must be further out than next to the handler,
 * register it as `APP_INTERCEPTOR`, with `useGlobalInterceptors`, or on controllers: the outermost
 * has the call, and more than one does no harm.
 *
 * @publicApi
 */
@OnePerNest('LedgerInterceptor')
@Injectable()
export class LedgerInterceptor implements NestInterceptor {
  /**
   * By controller, since a handler may be inherited; null for one without the decorator. Weak both
   * ways: a controller made for one request may have functions of its own for handlers.
   */
  private readonly handlers = new WeakMap<object, WeakMap<object, UsagePlan | null>>();

  constructor(private readonly moduleRef: ModuleRef) {}

  /** @throws Error if the application has no such ledger */
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const known = this.handlerOf(context);
    if (known === null) return next.handle();
    const marked: MarkedContext = context;
    // An outer interceptor of this kind has it. If it's there but idle, this is another try.
    if (marked[CALL]?.isActive) return next.handle();
    marked[CALL] ??= this.begin(context, known);
    return marked[CALL].observe(next.handle());
  }

  private begin(context: ExecutionContext, plan: UsagePlan): HandlerCall {
    const exchange = rawExchangeOf(context);
    return exchange ? new HttpHandlerCall(context, plan, exchange) : new HandlerCall(context, plan);
  }

  private handlerOf(context: ExecutionContext): UsagePlan | null {
    const controller = context.getClass();
    const handlers = this.handlers.get(controller) ?? new WeakMap<object, UsagePlan | null>();
    const handler = context.getHandler();
    let known = handlers.get(handler);
    if (known === undefined) {
      const metadata = recordUsageOf(context);
      known = metadata ? this.learn(context, metadata) : null;
      this.handlers.set(controller, handlers.set(handler, known));
    }
    return known;
  }

  private learn(context: ExecutionContext, metadata: RecordUsageMetadata): UsagePlan {
    const handler = `${context.getClass().name}.${context.getHandler().name}`;
    const name = metadata.options.ledger?.name ?? 'default';
    const ledger = this.findLedger(metadata, handler, name);
    let log = logs.get(ledger);
    if (!log) logs.set(ledger, (log = new UsageLog(name)));
    return {
      handler,
      ledger,
      log,
      mapper: metadata.mapper as (call: UsageCall) => unknown,
      mode: responseModeOf(context),
      guarantee: metadata.options.guarantee,
    };
  }

  private findLedger(
    { options }: RecordUsageMetadata,
    handler: string,
    name: string,
  ): UsageRecorder {
    try {
      return this.moduleRef.get<UsageRecorder>(getLedgerToken(options.ledger), { strict: false });
    } catch (cause) {
      const ledger = name === 'default' ? '' : '{ ledger } ';
      throw new Error(
        `@RecordUsage on ${handler}: the application has no ledger '${name}'; ` +
          `import LedgerModule.forRoot(${ledger}…) or forRootAsync(…) for it`,
        { cause },
      );
    }
  }
}
