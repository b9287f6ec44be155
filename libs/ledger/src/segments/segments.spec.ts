import * as fc from 'fast-check';
import { mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EVERY_COLUMN } from '../channel/fixtures/hostile-entries.fixture.js';
import { formatRun } from '../codec/uuid.js';
import type { LedgerTable } from '../entry/ledger-definition.js';
import { createRowEncoder } from '../sink-kit/row-encoder.js';
import { createRowReader } from '../sink-kit/row-reader.js';
import { PLAIN_TABLE } from '../testing/ledger-under-test.js';
import { openSegment, type SegmentPart } from './read-segment.js';
import { rowsOf } from './row-frame.js';
import { describeSegment, type SegmentDescription } from './segment-description.js';
import { encodeFileHeader, encodeFrameHeader, FRAME_HEADER_BYTES } from './segment-format.js';
import { SegmentRows } from './segment-rows.js';
import { SegmentWriter } from './segment-writer.js';
import { decodeSettled, encodeSettled, type SettledFrame } from './settled-frame.js';

const EVERY_TABLE: LedgerTable = { ...PLAIN_TABLE, columns: EVERY_COLUMN };
const TARGET = { database: 'app', schema: 'public', table: 'usage_entries' };
const AT = Date.UTC(2026, 0, 1);

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'ledger-segments-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

function rowsFor(count: number, table: LedgerTable = PLAIN_TABLE): Buffer[] {
  const encode = createRowEncoder(table);
  return Array.from({ length: count }, (_, index) => {
    return encode({ userId: index + 1, memo: `entry ${index} 😀`, createdAt: new Date(AT) });
  });
}

function describe1(table = PLAIN_TABLE): SegmentDescription {
  return describeSegment(table, formatRun(7), TARGET, AT);
}

/** One frame for each list of rows. */
function writeSegment(path: string, frames: readonly Buffer[][], table = PLAIN_TABLE): void {
  const writer = SegmentWriter.create(path, describe1(table))!;
  let position = 0;
  for (const slices of frames) {
    writer.append({ slices, count: slices.length, position });
    position += slices.length;
  }
  writer.close();
}

interface Read {
  readonly description: SegmentDescription | string;
  readonly parts: SegmentPart[];
  readonly rows: Buffer[];
}

async function read(path: string): Promise<Read> {
  const segment = await openSegment(path);
  try {
    const parts: SegmentPart[] = [];
    for await (const part of segment.parts()) parts.push(part);
    const { description } = segment;
    const columns = typeof description === 'string' ? 0 : description.columns.length;
    const rows = parts.flatMap((part) =>
      part.kind === 'rows' ? [...rowsOf(part.bytes, columns)] : [],
    );
    return { description, parts, rows };
  } finally {
    await segment.close();
  }
}

function settledOf({ parts }: Read): (SettledFrame | undefined)[] {
  return parts.flatMap((part) =>
    part.kind === 'settled' ? [decodeSettled(part.position, part.bytes)] : [],
  );
}

describe('a segment', () => {
  it('returns every row with its position, and describes its table', async () => {
    const path = join(dir, 'a.wal');
    const rows = rowsFor(5);
    writeSegment(path, [rows.slice(0, 2), rows.slice(2)]);
    const found = await read(path);
    expect(found.rows).toEqual(rows);
    expect(found.parts).toMatchObject([
      { kind: 'rows', position: 0, rows: 2 },
      { kind: 'rows', position: 2, rows: 3 },
    ]);
    expect(found.description).toMatchObject({ ledger: 'default', run: '00000007', target: TARGET });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('returns entries by its own columns, of every type, like a row reader of the definition', async () => {
    const path = join(dir, 'a.wal');
    const entry = {
      userId: '9007199254740993',
      memo: 'línea\n2',
      attributes: { plan: 'pro', '': 1 },
      createdAt: new Date(AT),
      note: '',
      costNanos: -(2n ** 63n),
      retries: -1,
      price: '-12345678.900',
      isCached: false,
      tenantId: '01890a5d-ac96-774b-bcce-b302099a8057',
      startedAt: new Date(-1),
      labels: [{ deep: [null, true] }],
    };
    const encode = createRowEncoder(EVERY_TABLE);
    const rows = [encode(entry), encode({ userId: 1 })];
    writeSegment(path, [rows], EVERY_TABLE);
    const { description } = await read(path);
    const reader = new SegmentRows((description as SegmentDescription).columns);
    const expected = createRowReader(EVERY_TABLE);
    for (const row of rows) {
      expect(reader.entry(row)).toEqual(expected.entry(row));
      expect(reader.uuid(row)).toBe(expected.uuid(row));
    }
  });

  it('never replaces an existing name, even a link to nowhere', async () => {
    const victim = join(dir, 'victim');
    await writeFile(victim, 'precious');
    await symlink(victim, join(dir, 'link.wal'));
    await symlink(join(dir, 'nowhere'), join(dir, 'dangling.wal'));
    for (const name of ['victim', 'link.wal', 'dangling.wal']) {
      expect(SegmentWriter.create(join(dir, name), describe1())).toBeUndefined();
    }
    expect(await readFile(victim, 'utf8')).toBe('precious');
    await expect(stat(join(dir, 'nowhere'))).rejects.toThrow('ENOENT');
  });

  it('reads up to where its writer stopped, at any position', async () => {
    const path = join(dir, 'a.wal');
    const rows = rowsFor(6);
    writeSegment(path, [rows.slice(0, 3), rows.slice(3)]);
    const bytes = await readFile(path);
    const start = encodeFileHeader(JSON.stringify((await read(path)).description)).bytes.length;
    const frameEnd = start + FRAME_HEADER_BYTES + Buffer.concat(rows.slice(0, 3)).length;
    for (let end = 0; end < bytes.length; end++) {
      await writeFile(path, bytes.subarray(0, end));
      const found = await read(path);
      if (end < start) {
        expect(found.description, `${end}`).toBeTypeOf('string');
        continue;
      }
      expect(found.rows.length, `${end}`).toBe(end < frameEnd ? 0 : 3);
      const isWhole = end === start || end === frameEnd;
      expect(found.parts.at(-1)?.kind).toBe(
        isWhole ? (end === start ? undefined : 'rows') : 'torn',
      );
    }
  });

  it.each([1, 4096, 1_000_000])(
    'takes %d zeros at its end for what was never written',
    async (zeros) => {
      const path = join(dir, 'a.wal');
      const rows = rowsFor(2);
      writeSegment(path, [rows]);
      await writeFile(path, Buffer.alloc(zeros), { flag: 'a' });
      const found = await read(path);
      expect(found.rows).toEqual(rows);
      expect(found.parts.at(-1)?.kind).toBe('torn');
    },
  );

  it('reads no row with a changed byte, and reports its position', async () => {
    const path = join(dir, 'a.wal');
    const rows = rowsFor(4);
    writeSegment(path, [rows.slice(0, 2), rows.slice(2)]);
    const bytes = await readFile(path);
    const { description } = await read(path);
    const start = encodeFileHeader(JSON.stringify(description)).bytes.length;
    const second = start + FRAME_HEADER_BYTES + Buffer.concat(rows.slice(0, 2)).length;
    for (let at = second; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 0x20;
      await writeFile(path, changed);
      const found = await read(path);
      expect(found.rows).toEqual(rows.slice(0, 2));
      expect(found.parts.at(-1)).toMatchObject({ kind: 'corrupt', at: second });
    }
  });

  it('ignores the frames of another segment in reused blocks of the disk', async () => {
    const [own, other] = [join(dir, 'own.wal'), join(dir, 'other.wal')];
    const rows = rowsFor(4);
    writeSegment(own, [rows.slice(0, 2)]);
    // The same ledger, run, table and length; only its random id differs.
    writeSegment(other, [rows.slice(0, 2), rows.slice(2)]);
    const ownBytes = await readFile(own);
    const otherBytes = await readFile(other);
    await writeFile(own, Buffer.concat([ownBytes, otherBytes.subarray(ownBytes.length)]));
    const found = await read(own);
    expect(found.rows).toEqual(rows.slice(0, 2));
    expect(found.parts.at(-1)).toMatchObject({ kind: 'corrupt', at: ownBytes.length });
  });

  const LIES: readonly (readonly [
    string,
    { bytes?: number; rows?: number; kind?: number },
    string,
  ])[] = [
    ['more bytes than there are', { bytes: 4_000_000 }, 'torn'],
    ['more bytes than a frame may have', { bytes: 0xffff_ffff }, 'corrupt'],
    ['more rows than there are', { rows: 4_000_000_000 }, 'corrupt'],
    ['fewer rows than there are', { rows: 1 }, 'corrupt'],
  ];
  it.each(LIES)('with a header that lies about %s is not read', async (_, lie, kind) => {
    const path = join(dir, 'a.wal');
    const payload = Buffer.concat(rowsFor(2));
    const { crc32 } = await import('node:zlib');
    const { bytes, seed } = encodeFileHeader(JSON.stringify(describe1()));
    const frame = { kind: 1, bytes: payload.length, rows: 2, crc: crc32(payload), position: 0 };
    const header = encodeFrameHeader({ ...frame, ...lie }, seed);
    await writeFile(path, Buffer.concat([bytes, header, payload]));
    const found = await read(path);
    expect(found.rows).toEqual([]);
    expect(found.parts.map((part) => part.kind)).toEqual([kind]);
  });

  it('continues after a frame of an unknown kind', async () => {
    const path = join(dir, 'a.wal');
    const { crc32 } = await import('node:zlib');
    const { bytes, seed } = encodeFileHeader(JSON.stringify(describe1()));
    const rows = rowsFor(1);
    const settled = Buffer.from('{"timeline":1}');
    const frames = [
      { kind: 2, payload: settled, rows: 0, position: 9 },
      { kind: 1, payload: rows[0]!, rows: 1, position: 9 },
    ].flatMap(({ kind, payload, rows: count, position }) => [
      encodeFrameHeader(
        { kind, bytes: payload.length, rows: count, crc: crc32(payload), position },
        seed,
      ),
      payload,
    ]);
    await writeFile(path, Buffer.concat([bytes, ...frames]));
    expect((await read(path)).rows).toEqual(rows);
  });

  it.each([
    ['nothing', ''],
    ['text', '{"v":1}\n'],
    ['a JSON header that is none', encodeFileHeader('[]').bytes],
    ['no columns', encodeFileHeader(JSON.stringify({ ...describe1(), columns: [] })).bytes],
    [
      'a column of a type that there is not',
      encodeFileHeader(
        JSON.stringify({
          ...describe1(),
          columns: [{ field: 'uuid', column: 'uuid', type: '__proto__' }],
        }),
      ).bytes,
    ],
  ])('with %s for a header is named as unreadable', async (_, bytes) => {
    const path = join(dir, 'a.wal');
    await writeFile(path, bytes);
    expect(await read(path)).toMatchObject({ description: expect.any(String), parts: [] });
  });

  it('refuses fields that are not of their type, and never throws because of them', () => {
    const { columns } = describe1(EVERY_TABLE);
    const reader = new SegmentRows(columns);
    fc.assert(
      fc.property(
        fc.array(fc.option(fc.uint8Array({ maxLength: 24 })), {
          minLength: columns.length,
          maxLength: columns.length,
        }),
        (fields) => {
          const parts: Buffer[] = [Buffer.from([0, columns.length])];
          for (const field of fields) {
            const length = Buffer.alloc(4);
            length.writeInt32BE(field?.length ?? -1);
            parts.push(length, Buffer.from(field ?? []));
          }
          const row = Buffer.concat(parts);
          const entry = reader.entry(row);
          if (entry !== undefined) expect(Object.keys(entry)).toHaveLength(columns.length);
        },
      ),
      { numRuns: 2000, verbose: true },
    );
  });

  it('survives any change of its bytes: it reads frames as written, or none', async () => {
    const path = join(dir, 'fuzz.wal');
    const rows = rowsFor(20);
    writeSegment(path, [rows.slice(0, 7), rows.slice(7, 8), rows.slice(8)]);
    const { seed } = encodeFileHeader(JSON.stringify((await read(path)).description));
    const marks = [3, 15].map((position) => {
      return { position, systemIdentifier: 2n ** 63n + 1n, timeline: 2, at: AT };
    });
    const bytes = Buffer.concat([
      await readFile(path),
      ...marks.map((mark) => encodeSettled(mark, seed)),
    ]);
    await writeFile(path, bytes);
    expect(settledOf(await read(path))).toEqual(marks);
    const written = new Set(rows.map((row) => row.toString('latin1')));
    const edit = fc.record({
      at: fc.nat({ max: bytes.length }),
      remove: fc.nat({ max: 200 }),
      insert: fc.oneof(
        fc.uint8Array({ maxLength: 64 }),
        fc.nat({ max: 300 }).map((length) => new Uint8Array(length)),
        // Bytes of the file itself, at another place.
        fc.nat({ max: bytes.length - 1 }).map((from) => bytes.subarray(from, from + 120)),
      ),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), async (edits) => {
        let changed = bytes;
        for (const { at, remove, insert } of edits) {
          changed = Buffer.concat([changed.subarray(0, at), insert, changed.subarray(at + remove)]);
        }
        await writeFile(path, changed);
        const found = await read(path);
        for (const row of found.rows) expect(written.has(row.toString('latin1'))).toBe(true);
        for (const mark of settledOf(found)) expect(marks).toContainEqual(mark);
      }),
      // fast-check prints the seed of a run that fails.
      { numRuns: 500, verbose: true },
    );
  });
});
