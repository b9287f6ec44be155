import { describe, expect, it } from 'vitest';
import { VERSION } from '../nest/version.js';
import { outputTo } from './fixtures/command-output.fixture.js';
import { runProgram } from './program.js';

async function run(...args: string[]): Promise<{ code: number; text: string }> {
  const said: string[] = [];
  const output = outputTo((text) => void said.push(text));
  const code = await runProgram(args, output);
  return { code, text: said.join('\n') };
}

const COMMANDS = ['tune', 'doctor', 'advise', 'migrate', 'replay', 'verify', 'rollup'];

describe('nestjs-ledger', () => {
  it.each(COMMANDS)('%s --help has examples, --json and the exit codes', async (command) => {
    const { code, text } = await run(command, '--help');
    expect(code).toBe(0);
    expect(text).toContain(`\nExamples:\n  $ nestjs-ledger ${command}`);
    expect(text).toContain('--json');
    if (command !== 'advise') expect(text).toContain('--database-url <url>');
    expect(text).toMatch(/Exit code: 0.* 2 if/);
  });

  it.each([
    ['init', []],
    ['partitions', []],
    ...['list', 'create', 'retire', 'convert'].map((name) => ['partitions', [name]] as const),
  ] as const)('%s %s --help has examples and the exit codes', async (command, rest) => {
    const { code, text } = await run(command, ...rest, '--help');
    expect(code).toBe(0);
    expect(text).toContain(`\nExamples:\n  $ nestjs-ledger ${command}`);
    expect(text).toMatch(/Exit code: 0, or 2 if/);
  });

  it('lists its commands, and ends with 2 for one that it has not', async () => {
    const help = await run('--help');
    for (const command of COMMANDS) expect(help.text).toMatch(new RegExp(`^ +${command} `, 'm'));
    expect(help.code).toBe(0);
    expect(help.text).toContain('\nExamples:\n  $ nestjs-ledger ');
    expect(await run('--version')).toEqual({ code: 0, text: VERSION });
    expect((await run('tunes')).code).toBe(2);
    expect((await run('doctor', '--workers', '0', '--database-url', 'postgres://h/d')).code).toBe(
      2,
    );
  });

  it.each([
    'tune --qps 1 --instances',
    'doctor --workers',
    'partitions retire --keep',
    'partitions create --ahead',
  ])('takes the same for a count everywhere: %s', async (command) => {
    const args = command.split(' ');
    const rule = 'must be a whole number from 1 to 10,000';
    for (const count of ['0', '1e3', '10_001']) {
      expect((await run(...args, count)).text).toContain(rule);
    }
    // Help ends the command, once its options were read.
    expect(await run(...args, '1_0', '--help')).toMatchObject({ code: 0 });
    expect((await run(...args, '1_0', '--help')).text).not.toContain(rule);
  });

  it.each(['migrate', 'doctor', 'verify', 'replay', 'rollup', 'tune --qps 1', 'partitions list'])(
    'names the replacement of removed flags: %s',
    async (command) => {
      for (const flag of ['--schema=a', '--table', '--ids', '--column', '--partition']) {
        const { code, text } = await run(...command.split(' '), flag, 'x:text');
        expect(code).toBe(2);
        expect(text).toMatch(/^error: unknown option '--/);
        expect(text).toContain('was removed. Give the definition itself: -d <module>');
      }
      for (const flag of ['--rollup', '--no-rollup', '--immutable']) {
        const { text } = await run(...command.split(' '), flag);
        expect(text).toContain(`hint: ${flag} was removed.`);
      }
      expect((await run(...command.split(' '), '--nonsense')).text).not.toContain('hint: ');
    },
  );

  it('proves nothing of a period that nothing can be in', async () => {
    const period = ['--from', '2026-02-01', '--to', '2026-01-01'];
    const { code, text } = await run('verify', ...period, '--database-url', 'postgres://h/d');
    expect(code).toBe(2);
    expect(text).toContain('--from (2026-02-01T00:00:00.000Z) must be before --to (2026-01-01');
  });

  it.each(['tune --qps 1', 'doctor', 'migrate', 'replay .', 'verify', 'rollup', 'partitions list'])(
    'says what is wrong with an address, and not the address: %s',
    async (command) => {
      for (const [url, rule] of [
        ['postgres://me:s3cret@[::h/d', 'percent-encoded'],
        ['http://me:s3cret@h/d', 'must be a URL that begins with postgres://'],
      ] as const) {
        const { code, text } = await run(...command.split(' '), '--database-url', url);
        expect(code).toBe(2);
        expect(text).toMatch(/^error: the database's address \(--database-url\) must be/);
        expect(text).toContain(rule);
        expect(text).not.toContain('s3cr');
      }
    },
  );
});
