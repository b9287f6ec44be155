import type { DashboardNow } from '../src/dashboard/dashboard-frame.interface.js';
import { bytesText, durationText, grouped } from './format.js';

/** Whether the ledger's destination answers: the database, or a gateway's stream. */
export function answersText({ database, stream }: DashboardNow): string {
  const text = database === 'up' ? 'answers' : 'does not answer';
  return stream?.role === 'gateway' ? `none; the stream ${text}` : text;
}

/** The messages waiting in the stream; undefined without one. */
export function waitingText({ stream }: DashboardNow): string | undefined {
  if (stream === null) return undefined;
  if (stream.waiting === null) return 'not known';
  const { messages, bytes, oldestAgeMs, unread } = stream.waiting;
  const oldest = messages === 0 ? '' : `, the oldest ${durationText(oldestAgeMs)} old`;
  const stray = unread === 0 ? '' : `; ${grouped(unread)} that no writer reads`;
  return `${grouped(messages)} messages, ${bytesText(bytes)}${oldest}${stray}`;
}

/** This process's messages; undefined without a stream. */
export function messagesText({ stream }: DashboardNow): string | undefined {
  if (stream === null) return undefined;
  const { role, published, publishMs, unacknowledged, redelivered } = stream;
  if (role === 'writer') {
    return `${grouped(unacknowledged)} not acknowledged, ${grouped(redelivered)} redelivered`;
  }
  const mean = published === 0 ? '' : `, ${durationText(publishMs / published)} each`;
  return `${grouped(published)} published${mean}`;
}
