import { ClientLeftException, refusalForRoom, refusalOf, type HeldBytes } from '@app/openai';
import type { Readable } from 'node:stream';
import { collectBody, type CollectedBody } from './collected-body.js';

/** Limits for reading a body. */
export interface BodyReading {
  readonly maxBytes: number;
  /** Length in the request's head; undefined if the body comes in chunks. */
  readonly declaredBytes: number | undefined;
  readonly held: HeldBytes;
}

/**
 * Reads a whole body, and keeps no byte of a body without room. The rest of an abandoned body is
 * read and discarded, because most clients read no answer before they have sent everything.
 *
 * @throws PayloadTooLargeException if it has too many bytes
 * @throws ServiceUnavailableException if the gateway, or the caller's half of it, is full
 * @throws ClientLeftException if the connection ends before the body does
 */
export async function readBody(payload: Readable, reading: BodyReading): Promise<Buffer> {
  const { maxBytes, declaredBytes = 0, held } = reading;
  let bytes = 0;
  const check = (piece: Buffer): Error | undefined => {
    const known = Math.max(declaredBytes, bytes);
    bytes += piece.length;
    if (bytes > maxBytes) return tooLarge(maxBytes);
    if (bytes > known && !held.add(bytes - known)) return refusalForRoom();
    return undefined;
  };
  const isTooLarge = declaredBytes > maxBytes;
  if (isTooLarge || !held.add(declaredBytes)) {
    payload.resume();
    throw isTooLarge ? tooLarge(maxBytes) : refusalForRoom();
  }
  let collected: CollectedBody | undefined = collectBody(declaredBytes);
  await new Promise<void>((resolve, reject) => {
    const take = (piece: Buffer): void => {
      const fault = check(piece);
      if (!fault) return collected?.add(piece);
      collected = undefined;
      // Without this listener the rest is discarded.
      payload.off('data', take);
      reject(fault);
    };
    const leave = (): void => reject(new ClientLeftException());
    payload.on('data', take).once('end', resolve).once('error', leave);
  });
  return collected.take();
}

function tooLarge(maxBytes: number): Error {
  return refusalOf({ status: 413, message: `The body is too large: more than ${maxBytes} bytes.` });
}
