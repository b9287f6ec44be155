import { describe, expect, it } from 'vitest';
import { isLedgerError } from '../errors/is-ledger-error.js';
import { classifyNatsError } from './classify-nats-error.js';

function refusal(operation: string, subject: string): Error {
  const named = { name: 'PermissionViolationError', operation, subject };
  return Object.assign(new Error('Permissions Violation'), named);
}

describe('a refused subject', () => {
  it.each([
    ['publish', 'ledger.usage.0123456789abcdef', 'publish to ledger.usage.0123456789abcdef'],
    [
      'publish',
      '$JS.ACK.ledger-usage.layout.1.7.3.1764500000000000000.0',
      'publish to $JS.ACK.ledger-usage.>',
    ],
    [
      'publish',
      '$JS.ACK._.hash.ledger-usage.layout.1.7.3.1764500000000000000.0',
      'publish to $JS.ACK._.hash.ledger-usage.>',
    ],
    ['subscription', '_INBOX.S9NLBVA5WTKKB0GDYX4Y8A', 'subscribe to _INBOX.>'],
    ['subscription', '_INBOX.S9NLBVA5WTKKB0GDYX4Y8A.*', 'subscribe to _INBOX.>'],
    ['subscription', 'inbox.writer.S9NLBVA5WTKKB0GDYX4Y8A.*', 'subscribe to inbox.writer.>'],
  ])('halts and is named as permissions name it: %s %s', (operation, subject, right) => {
    const reason = refusal(operation, subject);
    for (const error of [reason, new Error('a request', { cause: reason })]) {
      const known = classifyNatsError(error);
      expect(isLedgerError(known, 'SINK_HALT')).toBe(true);
      const remedy = "add it to the user's permissions on the servers";
      expect(known.message).toBe(`the user may not ${right}: ${remedy}`);
    }
  });
});
