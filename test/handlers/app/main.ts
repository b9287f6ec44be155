import type { INestApplication } from '@nestjs/common';
import { LedgerService } from 'nestjs-ledger';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { listen } from './application.js';
import { prepare, release, underWay } from './work.js';

/**
 * Applications with handlers of some kinds, one at a time, in a process of their own. Lines on stdin:
 * `open <schema> <kinds, with commas between them>`, `close`, and `exit`, which is what Nest does if
 * it can't shut down; SIGTERM stops the one that is open.
 * Without an application the process ends when stdin does. Environment: HELD and CALLERS (`work.ts`),
 * DATABASE, SPILL_DIR, SHUTDOWN_MS, HTTP_PORT, RPC_PORT, WS_PORT, REDIS_PORT, HELD_UNTIL (`stop`, or
 * `sealed`: until the ledger is, and a hook after the ledger's waits for all calls).
 */
let app: INestApplication | undefined;

const say = (line: string): boolean => process.stdout.write(`${line}\n`);

function beginToStop(): void {
  say(`under-way ${underWay()}`);
  if (process.env['HELD_UNTIL'] === 'stop') release();
  else void whenSealed(app!.get(LedgerService)).then(release);
}

async function whenSealed(ledger: LedgerService): Promise<void> {
  while (ledger.stats().state !== 'sealed') await pause(20);
}

// Once: Nest ends the process by the same signal when its hooks are over.
process.prependOnceListener('SIGTERM', beginToStop);

async function obey(line: string): Promise<void> {
  const [command, schema, kinds] = line.split(' ');
  if (command === 'open') {
    prepare();
    app = await listen(schema!, kinds!.split(','));
    say('opened');
  } else if (command === 'exit') {
    const ledger = app!.get(LedgerService);
    process.once('exit', () => say(`stats ${JSON.stringify(ledger.stats())}`));
    beginToStop();
    process.exit(1);
  } else {
    beginToStop();
    await app?.close();
    say('closed');
  }
}

for await (const line of createInterface(process.stdin)) await obey(line);
