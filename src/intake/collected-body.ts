/** Smaller bodies arrive in one or two pieces. */
const SEVERAL_PIECES_BYTES = 64 * 1024;

/** The pieces of a body, joined once all have arrived. */
export interface CollectedBody {
  add: (piece: Buffer) => void;
  /** All bytes; the buffer contains nothing else if they are 64 KiB or more. */
  take: () => Buffer;
}

/**
 * Collects a body. Joining 16 MiB at the end would block the event loop for some 10 ms and need the
 * memory twice. A large body of a known length is therefore assembled while it arrives. Unwritten
 * memory costs nothing.
 *
 * @param declaredBytes from the request's head: no more arrive; 0 if unknown
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
