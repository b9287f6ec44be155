/** One difference between a ledger's table and its definition. @internal */
export interface TableFault {
  /**
   * `missing`: the migrations make it. `different`: it is there, and must be changed by hand.
   * `privilege`: the role may not. `warning`: entries can be written all the same.
   */
  readonly kind: 'missing' | 'different' | 'privilege' | 'warning';
  /** True for a `warning` of a right that the role lacks; `privilege` says so by itself. */
  readonly isPrivilege?: boolean;
  /** Number of the migration that makes it again, for a `warning`; `missing` says so by itself. */
  readonly remadeBy?: number;
  /** What the subject is, if not a table or a column. */
  readonly object?: 'function' | 'trigger' | 'rule' | 'index';
  /** Name of the table, column, function, trigger, rule or index. */
  readonly subject: string;
  /** What is wrong, in words. */
  readonly problem: string;
  /** The command or statement that mends it. */
  readonly remedy: string;
}
