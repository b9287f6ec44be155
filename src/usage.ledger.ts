import { defineLedger } from 'nestjs-ledger';

/**
 * The gateway's ledger. Users and keys are identified by text, as in OpenAI's protocol. Each entry
 * contains the requested model and its cost, in billionths of a US dollar, with the version of the
 * price list. It is read by user and by key. Parts of the tokens with separate prices have columns,
 * so that reports can sum them.
 */
export const usage = defineLedger({
  ids: 'text',
  indexes: ['userId', 'apiKeyId'],
  columns: {
    model: 'text',
    costNanos: 'bigint',
    priceVersion: 'text',
    cacheReadTokens: 'integer',
    cacheWriteTokens: 'integer',
    reasoningTokens: 'integer',
    audioPromptTokens: 'integer',
    audioCompletionTokens: 'integer',
  },
});
