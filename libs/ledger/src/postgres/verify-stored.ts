import type { LedgerTable } from '../entry/ledger-definition.js';
import { NAME_ENDINGS } from '../entry/check-definition.js';
import { fillTemplate } from './fill-template.js';
import type { FoundFunction, FoundTable, FoundTrigger } from './load-catalog.js';
import { functionBody, FUNCTION_MARK, triggerType, valuesOf } from './migration-script.js';
import type {
  NameEnding,
  PlannedMigration,
  StoredFunction,
  StoredTrigger,
} from './sql-migration.interface.js';
import type { TableFault } from './table-fault.interface.js';
import { qualify } from './quote-sql.js';

/** A function or trigger as declared by the newest migration that makes it. @internal */
export interface Declared<T> {
  readonly planned: PlannedMigration;
  readonly object: T;
}

/** All functions and triggers that exist after a plan. @internal */
export interface DeclaredObjects {
  readonly functions: readonly Declared<StoredFunction>[];
  readonly triggers: readonly Declared<StoredTrigger>[];
}

/** @internal */
export function declaredObjects(plan: readonly PlannedMigration[]): DeclaredObjects {
  const functions = new Map<NameEnding, Declared<StoredFunction>>();
  const triggers = new Map<NameEnding, Declared<StoredTrigger>>();
  for (const planned of plan) {
    const { migration } = planned;
    for (const ending of migration.drops ?? []) {
      functions.delete(ending);
      triggers.delete(ending);
    }
    for (const object of migration.functions ?? [])
      functions.set(object.ending, { planned, object });
    for (const object of migration.triggers ?? []) triggers.set(object.ending, { planned, object });
  }
  return { functions: [...functions.values()], triggers: [...triggers.values()] };
}

/** Input of `verifyStored`. @internal */
export interface StoredComparison {
  readonly plan: readonly PlannedMigration[];
  /** With its effective schema. */
  readonly definition: LedgerTable;
  readonly found: FoundTable;
  /** The remedy for an object that a migration makes again. */
  readonly remedy: string;
}

/**
 * Compares the functions and triggers on the server with those of a plan. Objects of a newer
 * version of the package are no fault.
 *
 * @internal
 */
export function verifyStored(comparison: StoredComparison): TableFault[] {
  const { functions, triggers } = declaredObjects(comparison.plan);
  return [
    ...functions.flatMap((declared) => verifyFunction(comparison, declared)),
    ...triggers.flatMap((declared) => verifyTrigger(comparison, declared)),
  ];
}

function verifyFunction(
  { definition, found, remedy }: StoredComparison,
  { planned, object }: Declared<StoredFunction>,
): TableFault[] {
  const { number } = planned.migration;
  const name = definition.table + NAME_ENDINGS[object.ending];
  const fault = (problem: string): TableFault[] => [
    {
      kind: 'warning',
      object: 'function',
      remadeBy: number,
      subject: name,
      problem: `function ${qualify(definition.schema, name)} ${problem}: ${object.effect}`,
      remedy,
    },
  ];
  const same = found.functions.filter((each) => each.name === name);
  if (same.length === 0) return fault('is missing');
  const values = valuesOf(planned, definition, definition.schema);
  const expected = fillTemplate(functionBody(planned.migration, object), values).replaceAll(
    '{schema}',
    () => found.quotedSchema,
  );
  if (same.some((each) => isNewer(each, number))) return [];
  if (same.some(({ body }) => body === expected)) {
    return same.length === 1 ? [] : fault('exists more than once, with different parameters');
  }
  return fault(difference(numberOf(same[0]!.body), number));
}

function difference(found: number | undefined, expected: number): string {
  if (found === undefined) return 'has a foreign body, or one from before bodies had numbers';
  return found < expected
    ? `is of migration ${found}, not ${expected}`
    : `has another body than migration ${expected} gave it`;
}

/** Whether a newer version of the package made it. */
function isNewer({ body }: FoundFunction, number: number): boolean {
  return (numberOf(body) ?? 0) > number;
}

/** The number of the migration in a body; undefined if it has none. @internal */
export function numberOf(body: string): number | undefined {
  const [, digits] = new RegExp(`^\\s*${FUNCTION_MARK}(\\d+)\\s`).exec(body) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

function verifyTrigger(
  { definition, found, remedy }: StoredComparison,
  { planned, object }: Declared<StoredTrigger>,
): TableFault[] {
  const name = definition.table + NAME_ENDINGS[object.ending];
  const { number } = planned.migration;
  const own = found.functions.filter((each) => each.name === name);
  // Without its function there is no trigger; the function's fault reports that.
  if (own.length === 0 || own.some((each) => isNewer(each, number))) return [];
  const wrong = found.relations.flatMap((relation) => {
    const trigger = found.triggers.find((each) => each.name === name && each.on === relation);
    const problem = triggerProblem(object, name, trigger);
    return problem === undefined ? [] : [`trigger ${name} on ${relation} ${problem}`];
  });
  if (wrong.length === 0) return [];
  const of = found.relations.length;
  const extent = of === 1 ? '' : ` (so on ${wrong.length} of ${of} tables and partitions)`;
  return [
    {
      kind: 'warning',
      object: 'trigger',
      remadeBy: number,
      subject: name,
      problem: `${wrong[0]!}${extent}: ${object.effect}`,
      remedy,
    },
  ];
}

function triggerProblem(
  expected: StoredTrigger,
  name: string,
  found: FoundTrigger | undefined,
): string | undefined {
  if (found === undefined) return 'is missing';
  if (found.function !== name || !found.isOwnFunction) return 'calls another function';
  if (found.enabled !== 'O' && found.enabled !== 'A') return 'is disabled';
  const isSame =
    found.type === triggerType(expected) &&
    !found.isConditional &&
    found.oldTable === (expected.oldTable ?? null) &&
    found.newTable === (expected.newTable ?? null);
  return isSame ? undefined : 'fires at other times than it should';
}
