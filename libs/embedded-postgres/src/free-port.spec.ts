import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { findFreePort } from './free-port.js';

describe('findFreePort', () => {
  it('finds another port at each call, and none that the system gives to others', async () => {
    const ports = await Promise.all(Array.from({ length: 200 }, () => findFreePort()));
    expect(new Set(ports).size).toBe(200);
    expect(Math.min(...ports)).toBeGreaterThan(10_080);
    expect(Math.max(...ports)).toBeLessThan(32_768);
  });

  it('returns the wanted port each time that it is free, and another while it is taken', async () => {
    const wanted = await findFreePort();
    expect(await findFreePort(wanted)).toBe(wanted);
    const holder = createServer().listen(wanted, '127.0.0.1');
    await once(holder, 'listening');
    expect((holder.address() as AddressInfo).port).toBe(wanted);
    expect(await findFreePort(wanted)).not.toBe(wanted);
    await once(holder.close(), 'close');
    expect(await findFreePort(wanted)).toBe(wanted);
  });
});
