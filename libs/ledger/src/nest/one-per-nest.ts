import { Injectable } from '@nestjs/common';
import { VERSION } from './version.js';

/** Values shared by both formats of this version of the package, but not with other versions. */
const SHARED = Symbol.for(`nestjs-ledger@${VERSION}`);

/**
 * The same value in every copy of this version of the package. An application may load it both as
 * ES modules and as CommonJS, one of them through another library, and Nest identifies providers by
 * identity. The value is stored on a function of Nest. Two copies of Nest, which don't work
 * together, therefore share nothing (Jest loads one for each test file).
 *
 * @param name of the value, unique in the package
 * @param make called if no other copy of the package has made the value
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

/** Replaces the decorated class by the class of the copy that was loaded first. @internal */
export function OnePerNest(
  name: string,
): <T extends abstract new (...args: never[]) => object>(own: T) => T {
  return (own) => onePerNest(name, () => own);
}
