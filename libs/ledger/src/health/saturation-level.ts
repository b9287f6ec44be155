/** Saturation of a channel as a level of health. @internal */
export type SaturationStatus = 'up' | 'degraded' | 'down';

/** Saturations at which the level changes: recover < degraded < down <= 1. @internal */
export interface SaturationMarks {
  readonly healthDegradedAt: number;
  readonly healthDownAt: number;
  readonly healthRecoverAt: number;
}

/**
 * Converts saturation into a level with hysteresis.
 *
 * - `up`: the start. Left for `degraded` at `healthDegradedAt`, for `down` at `healthDownAt`.
 * - `degraded`: left for `down` at `healthDownAt`, for `up` below `healthRecoverAt`.
 * - `down`: left for `degraded` below `healthDegradedAt`, for `up` below `healthRecoverAt`.
 *
 * One instance per ledger, shared by all endpoints.
 *
 * @internal
 */
export class SaturationLevel {
  #status: SaturationStatus = 'up';
  readonly #marks: SaturationMarks;

  constructor(marks: SaturationMarks) {
    this.#marks = marks;
  }

  /** Updates with the current saturation, 0 to 1, and returns the level. */
  observe(saturation: number): SaturationStatus {
    const { healthDegradedAt, healthDownAt, healthRecoverAt } = this.#marks;
    if (saturation >= healthDownAt) this.#status = 'down';
    else if (saturation < healthRecoverAt) this.#status = 'up';
    else if (saturation < healthDegradedAt && this.#status === 'down') this.#status = 'degraded';
    else if (saturation >= healthDegradedAt && this.#status === 'up') this.#status = 'degraded';
    return this.#status;
  }
}
