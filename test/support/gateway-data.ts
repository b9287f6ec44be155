import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let root: string | undefined;
let count = 0;

/**
 * A folder for the data of one gateway, removed when this process exits. Gateways of several tests would
 * find each other's journals in one folder.
 */
export function gatewayData(): string {
  root ??= makeRoot();
  return join(root, String(++count));
}

function makeRoot(): string {
  const folder = mkdtempSync(join(tmpdir(), 'ledger-gateway-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
