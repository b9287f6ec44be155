import { originOf } from './config/config-origin.js';
import type { LedgerOptions } from './config/ledger-options.interface.js';
import { NOT_SHOWN } from './config/show-value.js';
import { createStreamOfUrl } from './create-stream-of-url.js';
import { LedgerOptionsError } from './errors/ledger-options.error.js';

/**
 * Adds the stream that the environment names to the options, unless code gives a stream or a sink.
 *
 * @returns a promise only if an engine has to be loaded
 * @throws LedgerOptionsError that names the variable, and never shows the address
 * @internal
 */
export function withConfiguredStream(
  options: LedgerOptions,
): LedgerOptions | Promise<LedgerOptions> {
  const variable = originOf(options)?.stream;
  if (variable === undefined || options.stream !== undefined || options.sink !== undefined) {
    return options;
  }
  return createStreamOfUrl(variable.url).then(
    (stream) => ({ ...options, stream }),
    (error: unknown) => {
      if (!(error instanceof RangeError)) throw error;
      const fault = { name: variable.name, value: NOT_SHOWN, rule: error.message };
      throw new LedgerOptionsError([{ ...fault, source: 'environment' }]);
    },
  );
}
