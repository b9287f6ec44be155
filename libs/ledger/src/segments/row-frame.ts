/** Bytes of the number of fields, and of the length before each field. */
const COUNT_BYTES = 2;
const LENGTH_BYTES = 4;

/**
 * The end of each row in a frame.
 *
 * @returns undefined if the bytes are not exactly this number of rows and columns
 * @internal
 */
export function rowEndsOf(bytes: Buffer, rows: number, columns: number): Uint32Array | undefined {
  // A row has at least two bytes, so a false count allocates no memory.
  if (rows * COUNT_BYTES > bytes.length) return undefined;
  const ends = new Uint32Array(rows);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    const end = endOfRow(bytes, at, columns);
    if (end === undefined) return undefined;
    at = end;
    ends[row] = end;
  }
  return at === bytes.length ? ends : undefined;
}

/** The rows of a checked frame, one at a time, as views without copying. @internal */
export function* rowsOf(bytes: Buffer, columns: number): Generator<Buffer, void> {
  for (let at = 0; at < bytes.length;) {
    const end = endOfRow(bytes, at, columns)!;
    yield bytes.subarray(at, end);
    at = end;
  }
}

/** The fields of a checked row; null for NULL. @internal */
export function fieldsOf(row: Buffer, columns: number): (Buffer | null)[] {
  const fields: (Buffer | null)[] = [];
  let at = COUNT_BYTES;
  for (let column = 0; column < columns; column++) {
    const length = row.readInt32BE(at);
    at += LENGTH_BYTES;
    fields.push(length < 0 ? null : row.subarray(at, at + length));
    at += Math.max(length, 0);
  }
  return fields;
}

/** @returns undefined if no row with this number of columns begins here, or it is incomplete */
function endOfRow(bytes: Buffer, start: number, columns: number): number | undefined {
  if (start + COUNT_BYTES > bytes.length || bytes.readInt16BE(start) !== columns) return undefined;
  let at = start + COUNT_BYTES;
  for (let column = 0; column < columns; column++) {
    if (at + LENGTH_BYTES > bytes.length) return undefined;
    const length = bytes.readInt32BE(at);
    at += LENGTH_BYTES;
    if (length < -1) return undefined;
    at += Math.max(length, 0);
    if (at > bytes.length) return undefined;
  }
  return at;
}
