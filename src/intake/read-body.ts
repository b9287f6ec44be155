import { openAiError, type HeldBytes } from '@app/openai';
import { PayloadTooLargeException, ServiceUnavailableException } from '@nestjs/common';
import type { Readable } from 'node:stream';

/** How a body is read. */
export interface BodyReading {
  readonly maxBytes: number;
  /** As the request's head has it; undefined if the body comes in chunks. */
  readonly declaredBytes: number | undefined;
  readonly held: HeldBytes;
}

/**
 * Reads a body whole, and keeps no byte of one that there is no room for. Of a body that is given up
 * the rest is read and forgotten: most clients read no answer before they have sent all.
 *
 * @throws PayloadTooLargeException if it has too many bytes
 * @throws ServiceUnavailableException if the gateway, or the caller's half of it, is full
 */
export async function readBody(payload: Readable, reading: BodyReading): Promise<Buffer> {
  const { maxBytes, declaredBytes = 0, held } = reading;
  let bytes = 0;
  const check = (piece: Buffer): Error | undefined => {
    const known = Math.max(declaredBytes, bytes);
    bytes += piece.length;
    if (bytes > maxBytes) return tooLarge(`more than ${maxBytes} bytes`);
    if (bytes > known && !held.add(bytes - known)) return noRoom();
    return undefined;
  };
  const isTooLarge = declaredBytes > maxBytes;
  if (isTooLarge || !held.add(declaredBytes)) {
    payload.resume();
    throw isTooLarge ? tooLarge(`more than ${maxBytes} bytes`) : noRoom();
  }
  const pieces: Buffer[] = [];
  await new Promise<void>((resolve, reject) => {
    const take = (piece: Buffer): void => {
      const fault = check(piece);
      if (!fault) return void pieces.push(piece);
      pieces.length = 0;
      // Without this listener it flows on, to nobody.
      payload.off('data', take);
      reject(fault);
    };
    payload.on('data', take).once('end', resolve).once('error', reject);
  });
  return Buffer.concat(pieces, bytes);
}

function tooLarge(fault: string): PayloadTooLargeException {
  return new PayloadTooLargeException(
    openAiError(`The body is too large: ${fault}.`, { code: 'body_too_large' }),
  );
}

function noRoom(): ServiceUnavailableException {
  const message = 'Too many large requests are under way. Try again in a moment.';
  const facts = { type: 'server_error', code: 'gateway_full' } as const;
  return new ServiceUnavailableException(openAiError(message, facts));
}
