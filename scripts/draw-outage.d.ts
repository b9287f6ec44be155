/** What `record-outage.js` measures; times in seconds from the beginning of the load. */
export interface OutageRun {
  readonly killedAt: number;
  readonly backAt: number;
  readonly answered: number;
  readonly refused: number;
  /** The gateway's last line. */
  readonly drained: string;
  /** What `verify` says of the run. */
  readonly verify: string;
  /** In order of time; at least one. */
  readonly samples: readonly {
    readonly at: number;
    readonly answered: number;
    readonly written: number;
  }[];
}

/** The text of an SVG file that shows the run. */
export declare function drawOutage(run: OutageRun): string;
