import type { SettingInForce } from '../ports/ledger-stats.interface.js';

/**
 * The settings in force on one line, as the log shows them:
 * `batchSize 500 (environment), flushMs 500 (profile high, file), …`.
 *
 * @param settings in the order to be shown
 * @internal
 */
export function describeSettings(settings: Readonly<Record<string, SettingInForce>>): string {
  return Object.entries(settings)
    .map(([name, { value, source, profile }]) => {
      const origin = profile === undefined ? source : `profile ${profile}, ${source}`;
      return `${name} ${value} (${origin})`;
    })
    .join(', ');
}
