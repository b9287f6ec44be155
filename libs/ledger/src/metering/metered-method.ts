import type { Type } from '@nestjs/common';
import 'reflect-metadata';
import { HandlerCall } from './handler-call.js';
import { HttpHandlerCall } from './http-handler-call.js';
import { MeteredApplication, type Method } from './metered-application.js';
import { hiddenIndexOf } from './hidden-parameters.js';
import { rawExchange, rawExchangeOf } from './response-over.js';
import type { UsageDraft } from './usage-call.interface.js';
import { usageIndexOf } from './usage.decorator.js';
import type { RecordUsageMetadata, UsagePlan } from './usage-plan.js';
import { copyTraits } from './copy-traits.js';
import { callOf, setCall, takeContext } from './call-in-progress.js';

/**
 * A method that records its calls. It keeps name, length and metadata of the original, so that
 * other decorators work whether they are above or below.
 *
 * @internal
 */
export function meteredMethod(
  original: Method,
  key: string | symbol,
  { mapper, options }: RecordUsageMetadata,
): Method {
  const metering = new Metering(original, key, { mapper, options });
  const metered = function (this: unknown, ...args: unknown[]): unknown {
    return metering.call(this, args);
  };
  copyTraits(original, metered);
  return metered;
}

/** The facts about a decorated method on one object. */
interface Site {
  /** Undefined: the object belongs to no application. */
  readonly plan: UsagePlan | undefined;
  /** Argument index of a route's request. */
  readonly hiddenAt: number | undefined;
  /** Argument index of the draft. */
  readonly usageAt: number | undefined;
}

/** The state of one decorated method, for all its classes and applications. */
class Metering {
  readonly #original: Method;
  readonly #key: string | symbol;
  readonly #metadata: RecordUsageMetadata;
  /** By class for request-scoped objects, else by object. */
  readonly #byType = new WeakMap<MeteredApplication, WeakMap<object, Site>>();
  readonly #sites = new WeakMap<object, Site>();

  constructor(original: Method, key: string | symbol, metadata: RecordUsageMetadata) {
    this.#original = original;
    this.#key = key;
    this.#metadata = metadata;
  }

  call(self: unknown, args: unknown[]): unknown {
    if (typeof self !== 'object' || self === null) return Reflect.apply(this.#original, self, args);
    const { plan, hiddenAt, usageAt } = this.#sites.get(self) ?? this.#learn(self);
    const isRoute = hiddenAt !== undefined && args.length === hiddenAt + 2;
    const response = isRoute ? args.pop() : undefined;
    const request = isRoute ? args.pop() : undefined;
    if (plan === undefined) return Reflect.apply(this.#original, self, args);
    const call = isRoute ? routeCall(plan, request, response) : otherCall(plan);
    const draft = usageAt === undefined ? undefined : draftIn(args, usageAt, isRoute, call);
    return call.run(this.#original, self, args, draft);
  }

  #learn(self: object): Site {
    const type = self.constructor;
    const application = MeteredApplication.of(self);
    if (application === undefined) {
      MeteredApplication.notFound(type, this.#key, this.#metadata);
      return this.#siteOf(type, undefined);
    }
    let sites = this.#byType.get(application);
    if (sites === undefined) this.#byType.set(application, (sites = new WeakMap()));
    let site = sites.get(type);
    if (site === undefined) {
      site = this.#siteOf(type, application);
      if (site.plan === undefined) {
        MeteredApplication.notFound(type, this.#key, this.#metadata);
        return site;
      }
      sites.set(type, site);
    }
    this.#sites.set(self, site);
    return site;
  }

  #siteOf(type: object, application: MeteredApplication | undefined): Site {
    return {
      plan: application?.plan(type as Type, this.#key, this.#metadata),
      hiddenAt: hiddenIndexOf(type, this.#key),
      usageAt: usageIndexOf(type, this.#key),
    };
  }
}

/** Outside Nest's pipeline, the parameter is not filled in. */
function draftIn(
  args: unknown[],
  index: number,
  isRoute: boolean,
  call: HandlerCall,
): UsageDraft | undefined {
  if (args[index] === undefined && !isRoute && call.context === undefined) args[index] = {};
  const draft = args[index];
  return typeof draft === 'object' && draft !== null ? draft : undefined;
}

function routeCall(plan: UsagePlan, request: unknown, response: unknown): HandlerCall {
  const exchange = rawExchange(request, response);
  return exchange ? HttpHandlerCall.of(plan, exchange) : new HandlerCall(plan, undefined);
}

function otherCall(plan: UsagePlan): HandlerCall {
  const context = takeContext(plan.type);
  if (context === undefined) return new HandlerCall(plan, undefined);
  const exchange = rawExchangeOf(context);
  if (exchange) return HttpHandlerCall.of(plan, exchange, context);
  const known = callOf(context);
  if (known) return known;
  const call = new HandlerCall(plan, context);
  setCall(context, call);
  return call;
}
