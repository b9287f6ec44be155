import type { LedgerCore } from './assemble-core.js';
import { AwaitedIntake } from './channel/awaited-intake.js';
import type { Handoff } from './channel/handoff.js';
import { Intake } from './channel/intake.js';
import { nearestName } from './config/nearest-name.js';
import { InvalidReporter } from './writer/invalid-reporter.js';
import { UnknownFieldReporter } from './writer/unknown-field-reporter.js';

/** The intake half, from the caller to the channel. @internal */
export interface IntakeHalf {
  readonly intake: Intake;
  readonly awaited: AwaitedIntake;
}

/**
 * Wires the intake half. It works without a writer half; entries then wait in the channel.
 *
 * @param taken how an entry counts once the sink has accepted it
 */
export function assembleIntake(
  core: LedgerCore,
  handoff: Handoff,
  taken: 'written' | 'published' = 'written',
): IntakeHalf {
  const { codec, run, counters, clock, losses, keeper } = core;
  const { blockTimeoutMs, commitTimeoutMs } = core.options;
  const invalid = new InvalidReporter({ keeper, losses, clock, fields: codec.fieldNames });
  const unknown = new UnknownFieldReporter({
    counters,
    logger: core.logger,
    fields: codec.fieldNames,
    nearest: nearestName,
    isRejecting: core.options.unknownFields === 'reject',
  });
  const intake = new Intake({
    codec,
    run,
    handoff,
    counters,
    clock,
    refusesKeyUuids: core.options.sink === undefined,
    onDropped: () => losses.note('dropped', 1),
    onLate: (file) => losses.noteLate(file),
    onRefused: () => losses.note('sealed', 1),
    onUnknown: (names) => unknown.note(names),
    onInvalid: (fault, entry) => invalid.note(fault, entry),
  });
  const limits = { blockTimeoutMs, commitTimeoutMs };
  const awaited = new AwaitedIntake({ intake, handoff, clock, ...limits, taken });
  return { intake, awaited };
}
