import type { Type } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import 'reflect-metadata';
import { isObservable, Observable } from 'rxjs';
import type { OpenCalls } from '../channel/open-calls.js';
import { onePerNest } from '../nest/one-per-nest.js';
import { copyTraits } from './copy-traits.js';
import { isPlainPromise } from './is-thenable.js';
import { MeteredApplication, type Method } from './metered-application.js';
import { RECORD_USAGE } from './metered-classes.js';

/** Metadata keys of `@MessagePattern()`, `@EventPattern()` and `@SubscribeMessage()`. */
const MESSAGES = ['microservices:pattern', 'websockets:message_mapping'];
/** Handlers that are watched already. */
const WATCHED = Symbol.for('nestjs-ledger/message-watched');

/**
 * Applications by the classes of their handlers. Weak, so that a closed application can be
 * collected.
 */
const watching = onePerNest(
  'watched message handlers',
  () => new WeakMap<object, Set<WeakRef<MeteredApplication>>>(),
);

/**
 * Makes the shutdown wait for open messages whose handlers have no `@RecordUsage` and may record
 * entries themselves. Nest closes its transports within milliseconds and does not wait for
 * handlers. Routes need no such wait, because an HTTP server closes only after all responses.
 *
 * @returns the open messages of the application
 * @internal
 */
export function watchMessageHandlers(modules: ModulesContainer): OpenCalls {
  const application = MeteredApplication.in(modules);
  for (const { controllers, providers } of modules.values()) {
    for (const { metatype } of controllers.values()) watchClass(application, metatype);
    for (const { metatype, inject } of providers.values()) {
      if (inject === null || inject === undefined) watchClass(application, metatype);
    }
  }
  return application.messages;
}

function watchClass(application: MeteredApplication, type: unknown): void {
  if (typeof type !== 'function' || typeof type.prototype !== 'object') return;
  if (!watchMethods(type as Type)) return;
  const known = watching.get(type) ?? new Set<WeakRef<MeteredApplication>>();
  watching.set(type, known);
  for (const each of known) {
    const other = each.deref();
    if (other === application) return;
    if (other === undefined) known.delete(each);
  }
  known.add(new WeakRef(application));
}

/**
 * Own and inherited handlers; those with `@RecordUsage` are open calls already. @returns whether it
 * has any
 */
function watchMethods(type: Type): boolean {
  let hasAny = false;
  const seen = new Set<string>();
  for (
    let holder = type.prototype as object | null;
    holder !== null && holder !== Object.prototype;
    holder = Object.getPrototypeOf(holder) as object | null
  ) {
    for (const [key, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(holder))) {
      if (seen.has(key)) continue;
      seen.add(key);
      if (!isMessageHandler(descriptor.value)) continue;
      hasAny = true;
      watchMethod(holder, key, descriptor.value);
    }
  }
  return hasAny;
}

function isMessageHandler(value: unknown): value is Method {
  if (typeof value !== 'function' || Reflect.hasMetadata(RECORD_USAGE, value)) return false;
  return MESSAGES.some((key) => Reflect.hasMetadata(key, value));
}

/**
 * Wraps the method instead of using an interceptor, which observes that a client has left, but not
 * the later end of the method.
 */
function watchMethod(holder: object, key: string, original: Method): void {
  if (Reflect.hasOwnMetadata(WATCHED, original)) return;
  const watched = function (this: object, ...args: unknown[]): unknown {
    const begin = (): (() => void) => beginIn(this.constructor);
    const end = begin();
    try {
      return watchResult(Reflect.apply(original, this, args), begin, end);
    } catch (error) {
      end();
      throw error;
    }
  };
  copyTraits(original, watched);
  Reflect.defineMetadata(WATCHED, true, watched);
  Object.defineProperty(holder, key, { value: watched, writable: true, configurable: true });
}

function watchResult(made: unknown, begin: () => () => void, end: () => void): unknown {
  if (isPlainPromise(made)) {
    return made.then(
      (value) => watchResult(value, begin, end),
      (error: unknown) => {
        end();
        throw error;
      },
    );
  }
  end();
  // A subject is one for all who listen, and the caller may know it by identity.
  if (!isObservable(made) || 'next' in made) return made;
  return new Observable((subscriber) => {
    const ended = begin();
    return made.subscribe(subscriber).add(ended);
  });
}

/**
 * Counts in each application that has the class, because only decorated objects know their
 * application.
 */
function beginIn(type: object): () => void {
  const ends = [...(watching.get(type) ?? [])].map((each) => each.deref()?.messages.begin());
  return () => {
    for (const end of ends) end?.();
  };
}
