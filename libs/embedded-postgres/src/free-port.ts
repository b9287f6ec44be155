import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Linux gives ports from 32768 on to whoever asks for any, and to outgoing connections; of those below,
 * nobody gets one unasked between the look for it and its use, or while its server is away. `fetch`
 * refuses 10080.
 */
const LOWEST = 10_081;
const HIGHEST = 32_000;
const MAX_TRIES = 50;

/** What this process found before, so that nothing gets the port of another. */
const given = new Set<number>();

/**
 * A port of the loopback interface that nobody listens on at this moment: the wanted one if it is
 * free, else any other, which is never one that this process got before.
 *
 * @param wanted 0 for any
 */
export async function findFreePort(wanted = 0): Promise<number> {
  if (wanted !== 0 && (await tryPort(wanted)) !== undefined) {
    given.add(wanted);
    return wanted;
  }
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const port = randomInt(LOWEST, HIGHEST + 1);
    if (given.has(port)) continue;
    // Before the look, so that two calls at once don't find the same.
    given.add(port);
    if ((await tryPort(port)) !== undefined) return port;
  }
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const port = await tryPort(0);
    if (port === undefined) break;
    if (given.has(port)) continue;
    given.add(port);
    return port;
  }
  throw new Error('no free port on 127.0.0.1');
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(undefined);
      else reject(error);
    });
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      server.close(() => {
        resolve(address !== null && typeof address === 'object' ? address.port : undefined);
      });
    });
  });
}
