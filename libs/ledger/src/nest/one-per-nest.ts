import { Injectable } from '@nestjs/common';
import { VERSION } from './version.js';

/** What both formats of this version of the package share. Other versions share nothing with it. */
const SHARED = Symbol.for(`nestjs-ledger@${VERSION}`);

/**
 * The same value in every copy of this version of the package: an application may load it as ES
 * modules and as CommonJS, one of them in a library of its own, and Nest knows providers by
 * identity. The value is kept on a function of Nest's, so that two copies of Nest, whose parts don't
 * fit together, share nothing (Jest loads one for each test file).
 *
 * @param name of the value, unique in the package
 * @param make called if no copy of the package was here before
 * @internal
 */
export function onePerNest<T>(name: string, make: () => T): T {
  const host = Injectable as { [SHARED]?: Map<string, unknown> };
  if (host[SHARED] === undefined) {
    Object.defineProperty(host, SHARED, { value: new Map() });
  }
  const shared = host[SHARED]!;
  if (!shared.has(name)) shared.set(name, make());
  return shared.get(name) as T;
}

/** Puts the class of the copy that was loaded first in the decorated one's place. @internal */
export function OnePerNest(
  name: string,
): <T extends abstract new (...args: never[]) => object>(own: T) => T {
  return (own) => onePerNest(name, () => own);
}
