import type { LedgerSetting } from './ledger-settings.js';

/** Decimal digits, with `_` between them allowed as in source code; no sign, exponent or unit. */
const WHOLE = /^\d+(?:_\d+)*$/;
const DECIMAL = /^(?:\d+\.?\d*|\.\d+)$/;

/**
 * Reads a setting from text, spaces around it ignored. Text that should be a number and is not is
 * returned as text, which `keepsRule` refuses. So no value is half read (`12abc`, `1e3`).
 *
 * @internal
 */
export function parseSetting(setting: LedgerSetting, text: string): string | number {
  const trimmed = text.trim();
  if (setting.kind === 'integer' && WHOLE.test(trimmed)) return Number(trimmed.replaceAll('_', ''));
  if (setting.kind === 'fraction' && DECIMAL.test(trimmed)) return Number(trimmed);
  return trimmed;
}

/** True if the value is of the setting's kind and in its range. @internal */
export function keepsRule(setting: LedgerSetting, value: unknown): boolean {
  switch (setting.kind) {
    case 'integer':
      return (
        (setting.orAuto === true && value === 'auto') ||
        (Number.isInteger(value) && isWithin(value as number, setting.min, setting.max))
      );
    case 'fraction':
      return typeof value === 'number' && value > 0 && value <= 1;
    case 'choice':
      return (
        (typeof value === 'string' && setting.choices.includes(value)) ||
        (setting.orStore === true && isStore(value))
      );
    case 'path':
      return typeof value === 'string' && value !== '' && !value.includes('\0');
  }
}

/** True if the value switches the setting off. @internal */
export function isNone(setting: LedgerSetting, value: unknown): boolean {
  return setting.kind === 'path' && setting.orNone === true && value === 'none';
}

/** The rule in words, placed after name and value in an error. @internal */
export function ruleOf(setting: LedgerSetting): string {
  switch (setting.kind) {
    case 'integer':
      return (
        `must be a whole number from ${grouped(setting.min)} to ${grouped(setting.max)}` +
        (setting.orAuto ? ', or auto' : '')
      );
    case 'fraction':
      return 'must be a number above 0 and at most 1';
    case 'choice':
      return (
        `must be one of ${setting.choices.join(', ')}` +
        (setting.orStore ? ', or in code an object with a store() method' : '')
      );
    case 'path':
      return `must be the path of a directory${setting.orNone ? ', or none' : ''}`;
  }
}

/** A figure with `,` between thousands, whatever the machine's locale. @internal */
export function grouped(figure: number): string {
  return figure.toLocaleString('en-US');
}

function isWithin(value: number, min: number, max: number): boolean {
  return value >= min && value <= max;
}

function isStore(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { store?: unknown }).store === 'function'
  );
}
