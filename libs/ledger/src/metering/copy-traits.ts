import 'reflect-metadata';

/**
 * Gives a function name, length, metadata and properties of the one in whose place it stands, so that
 * decorators above and below find what they look for.
 *
 * @internal
 */
export function copyTraits(from: object, to: object): void {
  for (const [key, descriptor] of Object.entries(Object.getOwnPropertyDescriptors(from))) {
    if (key !== 'prototype') Reflect.defineProperty(to, key, descriptor);
  }
  for (const key of Reflect.getMetadataKeys(from) as unknown[]) {
    Reflect.defineMetadata(key, Reflect.getMetadata(key, from), to);
  }
}
