/** How full a channel is, as health tells it. @internal */
export type SaturationStatus = 'up' | 'degraded' | 'down';

/** Saturations at which the level changes: recover < degraded < down <= 1. @internal */
export interface SaturationMarks {
  readonly healthDegradedAt: number;
  readonly healthDownAt: number;
  readonly healthRecoverAt: number;
}

/**
 * Turns saturation into a level that does not flicker around a mark.
 *
 * - `up`: the start. Left for `degraded` at `healthDegradedAt`, for `down` at `healthDownAt`.
 * - `degraded`: left for `down` at `healthDownAt`, for `up` below `healthRecoverAt`.
 * - `down`: left for `degraded` below `healthDegradedAt`, for `up` below `healthRecoverAt`.
 *
 * One ledger has one of these, whichever endpoint asks.
 *
 * @internal
 */
export class SaturationLevel {
  #status: SaturationStatus = 'up';
  readonly #marks: SaturationMarks;

  constructor(marks: SaturationMarks) {
    this.#marks = marks;
  }

  /** Takes the saturation of now, 0 to 1, and tells the level from now on. */
  observe(saturation: number): SaturationStatus {
    const { healthDegradedAt, healthDownAt, healthRecoverAt } = this.#marks;
    if (saturation >= healthDownAt) this.#status = 'down';
    else if (saturation < healthRecoverAt) this.#status = 'up';
    else if (saturation < healthDegradedAt && this.#status === 'down') this.#status = 'degraded';
    else if (saturation >= healthDegradedAt && this.#status === 'up') this.#status = 'degraded';
    return this.#status;
  }
}
