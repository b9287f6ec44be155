import { describe, expect, it } from 'vitest';
import { SinkRowError } from '../errors/sink.errors.js';
import { FaultJudge, ROWS_OF_A_TABLE_FAULT, type Suspect } from './fault-judge.js';

const NOT_NULL = new SinkRowError('refused', { sqlState: '23502', subject: 'region' });
const CHECK = new SinkRowError('refused', { sqlState: '23514', subject: 'nice' });
const OTHER_CHECK = new SinkRowError('refused', { sqlState: '23514', subject: 'polite' });

function refuse(judge: FaultJudge, count: number, error = NOT_NULL): Suspect[] {
  const suspects = Array.from({ length: count }, () => ({ refusedAt: 0 }));
  for (const suspect of suspects) judge.refused(suspect, error);
  return suspects;
}

describe('the judge of faults', () => {
  it('suspects the table at the sixteenth distinct row refused for the same reason', () => {
    const judge = new FaultJudge();
    refuse(judge, ROWS_OF_A_TABLE_FAULT - 1);
    expect(judge.isTableSuspect).toBe(false);
    refuse(judge, 1);
    expect(judge.isTableSuspect).toBe(true);
  });

  it('counts a row once, however often it is refused', () => {
    const judge = new FaultJudge();
    const [row] = refuse(judge, 1);
    for (let i = 0; i < 100; i++) judge.refused(row!, NOT_NULL);
    expect(judge.isTableSuspect).toBe(false);
  });

  it('groups refusals by SQLSTATE and constraint or column', () => {
    const judge = new FaultJudge();
    refuse(judge, 15, NOT_NULL);
    refuse(judge, 15, CHECK);
    refuse(judge, 15, OTHER_CHECK);
    expect(judge.isTableSuspect).toBe(false);
    refuse(judge, 1, CHECK);
    expect(judge.isTableSuspect).toBe(true);
  });

  it('restarts the count when the server accepts a row', () => {
    const judge = new FaultJudge();
    refuse(judge, 15);
    judge.taken(judge.begin());
    refuse(judge, 15);
    expect(judge.isTableSuspect).toBe(false);
  });

  it('grants company only from an attempt that began after its refusal', () => {
    const judge = new FaultJudge();
    const early = judge.begin();
    const [row] = refuse(judge, 1);
    judge.taken(early);
    expect(judge.hasCompany(row!), 'its answer was under way').toBe(false);
    judge.taken(judge.begin());
    expect(judge.hasCompany(row!)).toBe(true);
    judge.refused(row!, NOT_NULL);
    expect(judge.hasCompany(row!)).toBe(false);
  });

  it('ends a halt at an attempt that began after it, not at a late answer', () => {
    const judge = new FaultJudge();
    const early = judge.begin();
    refuse(judge, 16);
    judge.halt({ isRowByRow: true });
    judge.taken(early);
    expect(judge).toMatchObject({ isHalted: true, isRowByRow: true });
    judge.taken(judge.begin());
    expect(judge).toMatchObject({ isHalted: false, isTableSuspect: false });
  });

  it('acquits the table when a row itself is found at fault', () => {
    const judge = new FaultJudge();
    refuse(judge, 16);
    judge.halt();
    judge.acquit();
    expect(judge).toMatchObject({ isHalted: false, isTableSuspect: false });
  });
});
