import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** Bytes that a client must read within its time. */
const MIN_PROGRESS_BYTES = 16 * 1024;
/** Checks within that time. */
const LOOKS = 4;

interface Progress {
  /** Bytes that the system had accepted at the last sufficient progress. */
  taken: number;
  at: number;
}

/**
 * Closes the connections of clients that do not read their data, which would stay in memory. A
 * client that reads 16 KiB in the given time, or everything, is fast enough.
 */
export class SlowReaders {
  private readonly sockets = new Map<Socket, Progress>();
  private readonly timer: NodeJS.Timeout;

  constructor(
    server: Server,
    private readonly timeoutMs: number,
  ) {
    server.on('connection', (socket) => {
      this.sockets.set(socket, { taken: 0, at: performance.now() });
      socket.once('close', () => this.sockets.delete(socket));
    });
    this.timer = setInterval(() => this.look(), timeoutMs / LOOKS).unref();
    server.once('close', () => clearInterval(this.timer));
  }

  private look(): void {
    const now = performance.now();
    for (const [socket, progress] of this.sockets) {
      const waiting = socket.writableLength;
      const taken = socket.bytesWritten - waiting;
      if (waiting === 0 || taken - progress.taken >= MIN_PROGRESS_BYTES) {
        progress.taken = taken;
        progress.at = now;
      } else if (now - progress.at >= this.timeoutMs) socket.destroy();
    }
  }
}
