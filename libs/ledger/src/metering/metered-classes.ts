import {
  Catch,
  Inject,
  UseFilters,
  UseInterceptors,
  type ExceptionFilter,
  type Type,
} from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import 'reflect-metadata';
import { OnePerNest } from '../nest/one-per-nest.js';
import { contextPasser } from './call-in-progress.js';
import { addHiddenParameters, isRoute } from './hidden-parameters.js';
import { MeteredApplication, type Method } from './metered-application.js';
import { meteredMethod } from './metered-method.js';
import { responseModeOf } from './response-mode.js';
import type { RecordUsageMetadata } from './usage-plan.js';

/** In the registry, so that a decorator and an interceptor of two copies of the package meet. */
export const RECORD_USAGE = Symbol.for('nestjs-ledger/record-usage');
/** The decorated methods that a class has itself, with what they were told. */
const METHODS = Symbol.for('nestjs-ledger/metered-methods');
/** The property by which Nest tells each object which application it is of. */
const APPLICATION = Symbol.for('nestjs-ledger/application');
/** Methods whose context is handed to them already. */
const PASSED = Symbol.for('nestjs-ledger/context-passed');

type Key = string | symbol;
interface MeteredKey {
  readonly metadata: RecordUsageMetadata;
  /** Decorated by its class, whose heirs may say otherwise. */
  readonly original: Method | undefined;
}
type MeteredKeys = Map<Key, MeteredKey>;

/** Error of no one's: a filter must name what it catches, and this one is to catch nothing. */
class Nothing extends Error {}

/**
 * Brings the ledger's preparation along into every application that has a decorated class. Nest creates
 * it at boot, for classes of any scope, and never calls it: unlike a guard or an interceptor it costs a
 * call nothing.
 *
 * @internal
 */
@OnePerNest('MeteredClasses')
@Catch(Nothing)
export class MeteredClasses implements ExceptionFilter {
  /** @throws LedgerOptionsError if the application lacks the ledger of a decorated method */
  constructor(@Inject(ModulesContainer) modules: ModulesContainer) {
    prepareApplication(modules);
  }

  catch(): void {}
}

/**
 * Finds the decorated methods of all classes of an application before Nest looks for its handlers. May
 * be called again, when modules have come.
 *
 * @throws LedgerOptionsError if the application lacks the ledger of one
 * @internal
 */
export function prepareApplication(modules: ModulesContainer): void {
  const application = MeteredApplication.in(modules);
  for (const { controllers, providers } of modules.values()) {
    for (const { metatype } of controllers.values()) prepareClass(application, metatype, true);
    for (const { metatype, inject, isNotMetatype, instance } of providers.values()) {
      const made: unknown = instance;
      const isMade = isNotMetatype || inject !== null;
      prepareClass(application, isMade ? classOf(made) : metatype, false);
    }
  }
}

function prepareClass(application: MeteredApplication, type: unknown, isController: boolean): void {
  if (typeof type !== 'function' || typeof type.prototype !== 'object') return;
  const byClass = Reflect.getMetadata(RECORD_USAGE, type) as RecordUsageMetadata | undefined;
  if (byClass) meterHandlers(type as Type, byClass);
  for (const [key, { metadata }] of meteredKeysOf(type as Type)) {
    application.check(type, key, metadata);
    prepareMethod(type as Type, key, isController);
  }
}

/** Of what a factory has made, or of a value. */
function classOf(made: unknown): unknown {
  return typeof made === 'object' && made !== null ? made.constructor : undefined;
}

function prepareMethod(type: Type, key: Key, isController: boolean): void {
  const method = (type.prototype as Record<Key, object>)[key]!;
  if (isController && isRoute(method)) {
    addHiddenParameters(type, key, responseModeOf(type, key, method));
    return;
  }
  if (Reflect.hasOwnMetadata(PASSED, method)) return;
  Reflect.defineMetadata(PASSED, true, method);
  UseInterceptors(contextPasser)(type.prototype as object, key, { value: method });
}

/** Those of the class and of the classes above it, where no undecorated method stands in between. */
function meteredKeysOf(type: Type): MeteredKeys {
  const found: MeteredKeys = new Map();
  const seen = new Set<Key>();
  for (let base: unknown = type; isClass(base); base = Object.getPrototypeOf(base)) {
    const own = Reflect.getOwnMetadata(METHODS, base) as MeteredKeys | undefined;
    for (const key of Reflect.ownKeys(base.prototype as object)) {
      if (seen.has(key)) continue;
      seen.add(key);
      const metered = own?.get(key);
      if (metered) found.set(key, metered);
    }
  }
  return found;
}

function isClass(value: unknown): value is Type {
  return typeof value === 'function' && value !== Function.prototype;
}

/** What meters a method. @internal */
export interface MeteredBy {
  readonly metadata: RecordUsageMetadata;
  /** True for the decorator of a class, whose heirs may say otherwise. */
  readonly isByClass: boolean;
}

/** Puts a recording method in the place of another. @internal */
export function meterMethod(
  prototype: object,
  key: Key,
  descriptor: PropertyDescriptor,
  { metadata, isByClass }: MeteredBy,
): void {
  const original = descriptor.value as Method;
  const method = meteredMethod(original, key, metadata);
  descriptor.value = method;
  // At once, and not only by what is handed back: decorators are also called by hand.
  Object.defineProperty(prototype, key, descriptor);
  Reflect.defineMetadata(RECORD_USAGE, metadata, method);
  const type = prototype.constructor;
  const known = Reflect.getOwnMetadata(METHODS, type) as MeteredKeys | undefined;
  const own: MeteredKeys = known ?? new Map<Key, MeteredKey>();
  if (!known) Reflect.defineMetadata(METHODS, own, type);
  own.set(key, { metadata, original: isByClass ? original : undefined });
  bringAlong(prototype, key, descriptor);
}

function bringAlong(prototype: object, key: Key, descriptor: PropertyDescriptor): void {
  UseFilters(MeteredClasses)(prototype, key, descriptor);
  if (APPLICATION in prototype) return;
  // Nest sets it on each object that it creates, in whatever scope.
  Object.defineProperty(prototype, APPLICATION, {
    configurable: true,
    set(this: object, modules: ModulesContainer) {
      MeteredApplication.in(modules).adopt(this);
    },
  });
  Inject(ModulesContainer)(prototype, APPLICATION);
}

/** Meters every handler of a class that has no decorator of its own, inherited ones too. @internal */
export function meterHandlers(type: Type, metadata: RecordUsageMetadata): void {
  const prototype = type.prototype as object;
  const metered = meteredKeysOf(type);
  for (
    let holder = prototype;
    holder !== Object.prototype;
    holder = Object.getPrototypeOf(holder) as object
  ) {
    for (const [key, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(holder))) {
      const known = metered.get(key);
      const isTaken = known !== undefined && (!known.original || known.metadata === metadata);
      if (isTaken || !isHandler(key, descriptor, prototype)) continue;
      const own = { ...descriptor, value: known?.original ?? (descriptor.value as Method) };
      meterMethod(prototype, key, own, { metadata, isByClass: true });
      metered.set(key, { metadata, original: own.value });
    }
  }
}

const ENHANCERS = /^(__(guards|interceptors|pipes)__|__exceptionFilters__|design:)/;

/** A method that a decorator marked as one: a route, a message, a resolver, a job, a time. */
function isHandler(key: string, { value }: PropertyDescriptor, prototype: object): boolean {
  if (typeof value !== 'function' || key === 'constructor') return false;
  // A worker of BullMQ has one method, by name.
  if (key === 'process' && 'worker' in prototype) return true;
  const keys: unknown[] = Reflect.getOwnMetadataKeys(value as object);
  return keys.some((name) => typeof name === 'string' && !ENHANCERS.test(name));
}
