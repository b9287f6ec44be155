import 'reflect-metadata';

/**
 * Copies name, length, metadata and properties from the replaced function, so that other decorators
 * work whether they are above or below.
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
