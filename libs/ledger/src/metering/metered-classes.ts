import {
  Catch,
  Inject,
  UseFilters,
  UseInterceptors,
  type ExceptionFilter,
  type OnModuleInit,
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

/**
 * In the global registry, so that the decorator and the interceptor of two copies of the package
 * work together.
 */
export const RECORD_USAGE = Symbol.for('nestjs-ledger/record-usage');
/** A class's own decorated methods, with the decorator's arguments. */
const METHODS = Symbol.for('nestjs-ledger/metered-methods');
/** The property by which Nest marks the application of each object. */
const APPLICATION = Symbol.for('nestjs-ledger/application');
/** Methods that already receive their context. */
const PASSED = Symbol.for('nestjs-ledger/context-passed');

type Key = string | symbol;
interface MeteredKey {
  readonly metadata: RecordUsageMetadata;
  /** Decorated by its class; subclasses may override it. */
  readonly original: Method | undefined;
}
type MeteredKeys = Map<Key, MeteredKey>;

/**
 * An error that is never thrown: a filter must name an error to catch, and this one must catch
 * nothing.
 */
class Nothing extends Error {}

/**
 * Runs the ledger's preparation in every application with a decorated class. Nest creates this
 * filter at boot, for classes of any scope, and never calls it. Unlike a guard or an interceptor it
 * costs nothing per call.
 *
 * @internal
 */
@OnePerNest('MeteredClasses')
@Catch(Nothing)
export class MeteredClasses implements ExceptionFilter, OnModuleInit {
  readonly #modules: ModulesContainer;

  constructor(@Inject(ModulesContainer) modules: ModulesContainer) {
    this.#modules = modules;
    prepareApplication(modules);
  }

  /**
   * Checks in a hook, because a unit test compiles a controller with mocks instead of a ledger, and
   * runs no hooks.
   *
   * @throws LedgerOptionsError if the application lacks the ledger of a decorated method
   */
  onModuleInit(): void {
    checkMeteredMethods(this.#modules);
  }

  catch(): void {}
}

/**
 * Finds the decorated methods of all classes of an application before Nest collects its handlers.
 * May be called again when modules were added.
 *
 * @internal
 */
export function prepareApplication(modules: ModulesContainer): void {
  // Calls find their application among those that were looked up once.
  MeteredApplication.in(modules);
  for (const { type, isController } of classesIn(modules)) {
    const byClass = Reflect.getMetadata(RECORD_USAGE, type) as RecordUsageMetadata | undefined;
    if (byClass) meterHandlers(type, byClass);
    for (const key of meteredKeysOf(type).keys()) prepareMethod(type, key, isController);
  }
}

/**
 * Checks the ledgers of all decorated methods of a prepared application.
 *
 * @throws LedgerOptionsError if the application lacks the ledger of a method
 * @internal
 */
export function checkMeteredMethods(modules: ModulesContainer): void {
  const application = MeteredApplication.in(modules);
  for (const { type } of classesIn(modules)) {
    for (const [key, { metadata }] of meteredKeysOf(type)) application.check(type, key, metadata);
  }
}

interface ApplicationClass {
  readonly type: Type;
  readonly isController: boolean;
}

function* classesIn(modules: ModulesContainer): Generator<ApplicationClass> {
  for (const { controllers, providers } of modules.values()) {
    for (const { metatype } of controllers.values()) {
      if (hasMethods(metatype)) yield { type: metatype, isController: true };
    }
    for (const { metatype, inject, isNotMetatype, instance } of providers.values()) {
      const made: unknown = instance;
      const type: unknown = isNotMetatype || inject !== null ? classOf(made) : metatype;
      if (hasMethods(type)) yield { type, isController: false };
    }
  }
}

function hasMethods(type: unknown): type is Type {
  return typeof type === 'function' && typeof type.prototype === 'object';
}

/** The class of a factory's result or of a value. */
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

/** Those of the class and of its parents, unless an undecorated method overrides them. */
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

/** Meters a method. @internal */
export interface MeteredBy {
  readonly metadata: RecordUsageMetadata;
  /** True for the decorator of a class, which subclasses may override. */
  readonly isByClass: boolean;
}

/** Replaces a method by one that records. @internal */
export function meterMethod(
  prototype: object,
  key: Key,
  descriptor: PropertyDescriptor,
  { metadata, isByClass }: MeteredBy,
): void {
  const original = descriptor.value as Method;
  const method = meteredMethod(original, key, metadata);
  descriptor.value = method;
  // At once, and not only through the returned descriptor, because decorators are also called by
  // hand.
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
  // Nest sets it on each object that it creates, in any scope.
  Object.defineProperty(prototype, APPLICATION, {
    configurable: true,
    set(this: object, modules: ModulesContainer) {
      MeteredApplication.in(modules).adopt(this);
    },
  });
  Inject(ModulesContainer)(prototype, APPLICATION);
}

/** Meters every handler of a class without its own decorator, inherited ones too. @internal */
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

/** A method that a decorator marks as a handler: of a route, message, field, job or schedule. */
function isHandler(key: string, { value }: PropertyDescriptor, prototype: object): boolean {
  if (typeof value !== 'function' || key === 'constructor') return false;
  // A BullMQ worker has one method, identified by name.
  if (key === 'process' && 'worker' in prototype) return true;
  const keys: unknown[] = Reflect.getOwnMetadataKeys(value as object);
  return keys.some((name) => typeof name === 'string' && !ENHANCERS.test(name));
}
