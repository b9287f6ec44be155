import { SETTING_OPTIONS, settingOf } from './ledger-settings.js';
import { environmentName } from './setting-names.js';
import { grouped, ruleOf } from './setting-values.js';

/**
 * The settings table in Markdown, for docs/configure.md: option, environment name, default, rule, meaning.
 *
 * @returns lines that end in a newline each
 * @internal
 */
export function renderSettingsTable(): string {
  const rows = SETTING_OPTIONS.map((option) => {
    const setting = settingOf(option);
    const value = setting.default ?? 'none';
    return row(
      `\`${option}\``,
      `\`${environmentName(option)}\``,
      typeof value === 'number' ? grouped(value) : `\`${value}\``,
      ruleOf(setting).replace(/^must be /, ''),
      setting.about,
    );
  });
  const head = row('Option', 'Environment', 'Default', 'Value', 'Meaning');
  return [head, row('---', '---', '---', '---', '---'), ...rows].join('');
}

function row(...cells: string[]): string {
  return `| ${cells.join(' | ')} |\n`;
}
