import { defineLedger } from 'nestjs-ledger';

/**
 * The gateway's ledger: users and keys are known by text, as in OpenAI's protocol, and each entry
 * says which model was asked and what that cost, in billionths of a US dollar, by which list of prices.
 * It is read by user and by key. Parts of the tokens that are priced apart have columns, so that reports sum them.
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
