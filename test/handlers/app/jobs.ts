import type { OnApplicationBootstrap } from '@nestjs/common';
import { nextMemo } from './work.js';

/** More than are worked off before the stop. */
const JOBS = 2000;
export interface Task {
  memo: string;
}

export const redis = (): { host: string; port: number } => ({
  host: '127.0.0.1',
  port: Number(process.env['REDIS_PORT']),
});

/** A queue may still have jobs of the application before. */
export const tasks = (kind: string): Task[] =>
  Array.from({ length: JOBS }, () => ({ memo: nextMemo(kind) }));

/** Gives the workers something to do. */
export class JobSource implements OnApplicationBootstrap {
  constructor(private readonly add: () => Promise<unknown>) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.add();
  }
}
