/** Memory that rows are encoded into, seen as bytes and as numbers. @internal */
export interface RowTarget {
  readonly bytes: Buffer;
  readonly view: DataView;
}

/** A target of its own memory. @param size bytes, at least the row's bound */
export function createRowTarget(size: number): RowTarget {
  // Slow buffers stand outside Node's shared pool: a slab that is let go takes nothing else along.
  const bytes = Buffer.allocUnsafeSlow(size);
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, size) };
}

/** Memory that is there already, as a target. */
export function rowTargetOf(bytes: Buffer): RowTarget {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
}
