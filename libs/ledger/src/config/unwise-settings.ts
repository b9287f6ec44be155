import { RESERVED_CONNECTIONS } from '../postgres/connection-defaults.js';
import { grouped } from './setting-values.js';

/** The settings that the warnings depend on. @internal */
export interface WorkerSettings {
  readonly batchSize: number;
  /** Infinite: only bytes are a bound. */
  readonly capacity: number;
  readonly numWorkers: number;
}

/**
 * Finds valid values that are probably unintended, as far as this is known without a server.
 *
 * Source: the tuning guide's `workers = min(cpu_cores, max_connections / 10)`, and the contract.
 *
 * @param cores that this process may use
 * @returns one sentence each; may be empty
 * @internal
 */
export function unwiseSettings(settings: WorkerSettings, cores: number): string[] {
  const { batchSize, capacity, numWorkers } = settings;
  const warnings: string[] = [];
  if (numWorkers > cores) {
    warnings.push(
      `numWorkers ${numWorkers} is above the ${cores} cores of this machine; ` +
        'min(cores, max_connections / 10) is enough.',
    );
  }
  if (capacity < batchSize * numWorkers) {
    warnings.push(
      `bufferSize ${grouped(capacity)} is below batchSize x numWorkers ` +
        `(${grouped(batchSize * numWorkers)}): not all workers can have a full batch.`,
    );
  }
  return warnings;
}

/**
 * The same for facts of the server, for the first time it is reached.
 *
 * @param numWorkers workers in force
 * @param poolSize connections that this process may open to that server
 * @param maxConnections the server's `max_connections`
 * @returns one sentence each; may be empty
 * @internal
 */
export function unwiseConnections(
  numWorkers: number,
  poolSize: number,
  maxConnections: number,
): string[] {
  const warnings: string[] = [];
  if (numWorkers > maxConnections / 10) {
    warnings.push(
      `numWorkers ${numWorkers} is above a tenth of the server's ` +
        `max_connections (${maxConnections}).`,
    );
  }
  if (poolSize > maxConnections - RESERVED_CONNECTIONS) {
    warnings.push(
      `This process may open ${poolSize} connections, and the server takes ` +
        `${maxConnections - RESERVED_CONNECTIONS} (max_connections ${maxConnections}, ` +
        `${RESERVED_CONNECTIONS} reserved).`,
    );
  }
  return warnings;
}
