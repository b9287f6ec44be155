/** What is to be done of each mode. */
export type Wanted = Record<string, number>;

export interface Draw {
  readonly mode: string;
  readonly seed: number;
  readonly size: number;
}

export declare class SoakProgress {
  constructor(path: string, wanted: Wanted);
  get modes(): Record<string, { done: number; draws: number } & Record<string, number>>;
  get failures(): Draw[];
  left(wanted: Wanted): number;
  begin(wanted: Wanted, size: number): Draw | undefined;
  end(hasFailed: boolean, counts?: Record<string, number>): void;
}
