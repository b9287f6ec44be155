import {
  REFUSED_A_ROW,
  REFUSES_EVERY_BATCH,
  SinkHaltError,
  type SinkRowError,
} from '../errors/sink.errors.js';

/**
 * Turns the refusal of a row into a fault of the table: any row would be refused like this one.
 *
 * @internal
 */
export function tableFault(error: SinkRowError): SinkHaltError {
  const { message, sqlState, subject } = error;
  const prefix = `${REFUSED_A_ROW}: `;
  const why = message.startsWith(prefix) ? message.slice(prefix.length) : message;
  return new SinkHaltError(`${REFUSES_EVERY_BATCH}: ${why}`, {
    cause: error,
    ...(sqlState === undefined ? {} : { sqlState }),
    ...(subject === undefined ? {} : { subject }),
  });
}
