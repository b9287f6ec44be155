import { SinkHaltError } from '../errors/sink.errors.js';
import { classifyNatsError } from './classify-nats-error.js';
import { isNotFound } from './stream-config.js';

/** A failure to open a stream. @internal */
export function openFailureOf(error: unknown, stream: string): Error {
  const text = `there is no stream ${stream}: make it, or start a gateway with create: true`;
  return failureOf(error, text);
}

/** A failure of a stream that was open before. @internal */
export function streamFailureOf(error: unknown, stream: string): Error {
  const text = `there is no stream ${stream} any more: make it again, or restart a gateway`;
  return failureOf(error, text);
}

/** @param absence what to say if there is no such stream */
function failureOf(error: unknown, absence: string): Error {
  if (!isNotFound(error)) return classifyNatsError(error);
  return new SinkHaltError(absence, { cause: error });
}

/** Whether nobody answered, as when the stream was deleted. @internal */
export function isUnanswered(error: unknown): boolean {
  return (
    error instanceof Error &&
    ['JetStreamNotEnabled', 'TimeoutError', 'NoRespondersError'].includes(error.name)
  );
}
