import {
  unpackPoint,
  type DashboardPoint,
  type PackedPoint,
} from '../src/dashboard/dashboard-frame.interface.js';

/** Points further apart than this many samples are not joined by a line. */
const GAP_SAMPLES = 3.5;

/** The points of the charts, oldest first, including those before a reconnect. */
export class PointHistory {
  #points: DashboardPoint[] = [];
  #keepMs = 300_000;
  #sampleMs = 1000;

  get points(): readonly DashboardPoint[] {
    return this.#points;
  }

  /** The server's limit in milliseconds. */
  limit(keepMs: number, sampleMs: number): void {
    this.#keepMs = keepMs;
    this.#sampleMs = sampleMs;
  }

  /** Takes the points of a greeting, except known and older ones. */
  add(packed: readonly PackedPoint[]): void {
    let last = this.#points.at(-1)?.at ?? 0;
    for (const point of packed.map(unpackPoint)) {
      if (point.at <= last) continue;
      last = point.at;
      this.#points.push(point);
    }
    this.#points = this.#points.filter(({ at }) => at >= last - this.#keepMs);
  }

  /** Takes the newest point; one that is not newer means that the clock was set back. */
  append(point: PackedPoint): void {
    if (unpackPoint(point).at <= (this.#points.at(-1)?.at ?? 0)) this.clear();
    this.add([point]);
  }

  /** Another ledger has a different history. */
  clear(): void {
    this.#points = [];
  }

  /** The points of the last `spanMs`, with an empty one in each gap. */
  lastOf(spanMs: number): DashboardPoint[] {
    const points: DashboardPoint[] = [];
    const from = (this.#points.at(-1)?.at ?? 0) - spanMs - 2 * this.#sampleMs;
    for (const point of this.#points) {
      if (point.at < from) continue;
      const before = points.at(-1);
      if (before !== undefined && point.at - before.at > GAP_SAMPLES * this.#sampleMs) {
        points.push(unpackPoint([before.at + this.#sampleMs]));
      }
      points.push(point);
    }
    return points;
  }
}
