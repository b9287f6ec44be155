/** One difference between a ledger's table and its definition. @internal */
export interface TableFault {
  /**
   * `missing`: the migrations make it. `different`: it exists, and must be changed by hand.
   * `privilege`: the role lacks a right. `warning`: entries can be written anyway.
   */
  readonly kind: 'missing' | 'different' | 'privilege' | 'warning';
  /** True for a `warning` about a right that the role lacks; `privilege` implies it. */
  readonly isPrivilege?: boolean;
  /** Number of the migration that makes it again, for a `warning`; `missing` implies it. */
  readonly remadeBy?: number;
  /** Kind of the subject, if not a table or a column. */
  readonly object?: 'function' | 'trigger' | 'rule' | 'index';
  /** Name of the table, column, function, trigger, rule or index. */
  readonly subject: string;
  /** The fault, in words. */
  readonly problem: string;
  /** The command or statement that corrects it. */
  readonly remedy: string;
}
