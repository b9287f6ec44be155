/** What a ledger's lines begin with: `default` is left out. @internal */
export function loggerContext(ledger: string): string {
  return ledger === 'default' ? 'async-ledger' : `async-ledger:${ledger}`;
}
