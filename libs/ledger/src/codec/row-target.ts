/** Memory for encoded rows, as bytes and as a view for numbers. @internal */
export interface RowTarget {
  readonly bytes: Buffer;
  readonly view: DataView;
}

/** A target with its own memory. @param size bytes, at least the row's bound */
export function createRowTarget(size: number): RowTarget {
  // Slow buffers lie outside Node's shared pool, so a released slab keeps no other memory alive.
  const bytes = Buffer.allocUnsafeSlow(size);
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, size) };
}

/** A target over existing memory. */
export function rowTargetOf(bytes: Buffer): RowTarget {
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) };
}
