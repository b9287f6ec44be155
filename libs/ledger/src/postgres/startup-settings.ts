/**
 * One setting: `-c name=value`, `-cname=value` or `--name=value`; a backslash escapes the next
 * character.
 */
const SETTING = /(?:^|\s)(?:-c\s*|--)([A-Za-z][\w.-]*)=((?:\\.|[^\s\\])*)/g;

/**
 * The settings in the start-up parameter `options`, in order. Names are in lower case, with `_` for
 * `-`, as the server reads them. Source: process_postgres_switches in PostgreSQL's postgres.c,
 * pg_split_opts in postinit.c, ParseLongOption in guc.c.
 *
 * @internal
 */
export function startupSettings(options: string): (readonly [name: string, value: string])[] {
  return [...options.matchAll(SETTING)].map(([, name = '', value = '']) => [
    name.toLowerCase().replaceAll('-', '_'),
    value.replace(/\\(.)/g, '$1').toLowerCase(),
  ]);
}
