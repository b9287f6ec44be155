/** What is smaller comes in one piece or two. */
const SEVERAL_PIECES_BYTES = 64 * 1024;

/** The pieces of a body, to be put together once all are there. */
export interface CollectedBody {
  add: (piece: Buffer) => void;
  /** All bytes, in a buffer that has nothing else if they are 64 KiB or more. */
  take: () => Buffer;
}

/**
 * Collects a body. To put 16 MiB together in the end would hold the event loop for some 10 ms and
 * take the memory twice, so a large body of a known length is put together while it comes. Memory that
 * was not written to takes none.
 *
 * @param declaredBytes as the request's head has it: no more come; 0 if they are not known
 */
export function collectBody(declaredBytes: number): CollectedBody {
  return declaredBytes >= SEVERAL_PIECES_BYTES ? collectInPlace(declaredBytes) : collectPieces();
}

function collectInPlace(bytes: number): CollectedBody {
  const whole = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  return {
    add: (piece) => void (at += piece.copy(whole, at)),
    take: () => whole.subarray(0, at),
  };
}

function collectPieces(): CollectedBody {
  const pieces: Buffer[] = [];
  return { add: (piece) => void pieces.push(piece), take: () => Buffer.concat(pieces) };
}
