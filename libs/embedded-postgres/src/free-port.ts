import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/**
 * Below the ephemeral range of Linux (32768 and up), from which the kernel picks ports for outgoing
 * connections and for listeners without a port. A port outside it stays free between the search and
 * its use, and while its server is being restarted. Starts above 10080, which `fetch` blocks.
 * Source: ip_local_port_range in https://docs.kernel.org/networking/ip-sysctl.html
 */
const LOWEST = 10_081;
const HIGHEST = 32_000;
const MAX_TRIES = 50;

/** Ports that this process was given, so that no two servers get the same one. */
const given = new Set<number>();

/**
 * A port of the loopback interface that nobody listens on at this moment: the wanted one if it is
 * free, else any other that this process was not given before.
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
    // Added before the attempt, so that concurrent calls never share a port.
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
