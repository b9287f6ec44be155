import { crc32 } from 'node:zlib';
import { FRAME_HEADER_BYTES, FRAME_KINDS, writeFrameHeader } from './segment-format.js';

/** Bytes after the header of a settled frame. */
const SETTLED_BYTES = 20;

/** The server that accepted the rows; unknown parts are 0. @internal */
export interface ServerHistory {
  /** `pg_control_system()`: the same for a primary and its standbys. */
  readonly systemIdentifier: bigint;
  /** Increases with each promotion. */
  readonly timeline: number;
}

/** The content of a settled frame. @internal */
export interface SettledFrame extends ServerHistory {
  /** Every row of the run before this position is settled. */
  readonly position: number;
  /** Milliseconds since 1970 on the writer's clock. */
  readonly at: number;
}

/** An unknown server. @internal */
export const UNKNOWN_SERVER: ServerHistory = Object.freeze({ systemIdentifier: 0n, timeline: 0 });

/**
 * Whether rows accepted by one server may be missing on the other: it was promoted since, or is
 * another cluster. False if one of them is unknown.
 *
 * @internal
 */
export function isOtherHistory(before: ServerHistory, now: ServerHistory): boolean {
  if (before.systemIdentifier === 0n || now.systemIdentifier === 0n) return false;
  return before.systemIdentifier !== now.systemIdentifier || before.timeline !== now.timeline;
}

/** @param seed of the file @returns header and bytes of the frame @internal */
export function encodeSettled(settled: SettledFrame, seed: number): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + SETTLED_BYTES);
  const bytes = frame.subarray(FRAME_HEADER_BYTES);
  bytes.writeBigUInt64BE(settled.systemIdentifier, 0);
  bytes.writeUInt32BE(settled.timeline, 8);
  bytes.writeBigUInt64BE(BigInt(Math.max(0, Math.trunc(settled.at))), 12);
  const { position } = settled;
  const kind = FRAME_KINDS.settled;
  writeFrameHeader(
    { kind, bytes: SETTLED_BYTES, rows: 0, crc: crc32(bytes), position },
    seed,
    frame,
  );
  return frame;
}

/**
 * @param bytes after the header of a checked frame
 * @returns undefined for the content of another version
 * @internal
 */
export function decodeSettled(position: number, bytes: Buffer): SettledFrame | undefined {
  if (bytes.length !== SETTLED_BYTES) return undefined;
  return {
    position,
    systemIdentifier: bytes.readBigUInt64BE(0),
    timeline: bytes.readUInt32BE(8),
    at: Number(bytes.readBigUInt64BE(12)),
  };
}
