import { HttpException } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Readable } from 'node:stream';
import type { AnswerPart, CallMeter } from './call-meter.js';
import type { ChatRequest } from './chat-request.schema.js';
import { noAnswer } from './http-upstream.js';
import { dataOf, eventsOf } from './server-sent-events.js';
import type { Upstream, UpstreamAnswer } from './upstream.js';
import { whenOver } from './when-over.js';

/** An answer that is no stream is held until its usage is known. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** How servers answer a field that they don't know: OpenAI's and most others, and FastAPI's. */
const UNKNOWN_FIELD = new Set([400, 422]);

/** What takes part in one call. */
export interface Exchange {
  readonly request: ChatRequest;
  readonly meter: CallMeter;
  readonly http: FastifyRequest;
  readonly reply: FastifyReply;
}

/**
 * Passes a call on and gives its answer's bytes, status and headers set: a stream as it comes, at
 * the client's pace. A client that hangs up ends the call upstream.
 *
 * @throws HttpException 502 or 504 if the upstream does not answer
 */
export async function relay(upstream: Upstream, exchange: Exchange): Promise<Buffer | Readable> {
  const { meter, reply } = exchange;
  const hangUp = new AbortController();
  // An answer that was sent whole leaves nothing to end, and each abort makes an exception.
  whenOver(reply, () => void (reply.raw.writableFinished || hangUp.abort()));
  try {
    const { statusCode, headers, body } = await ask(upstream, exchange, hangUp.signal);
    meter.answered(statusCode);
    const type = String(headers['content-type']);
    if (/^text\/event-stream\b/i.test(type)) {
      void reply.status(statusCode).headers(headers);
      const bytes = meterEvents(body, exchange, hangUp.signal);
      return Readable.from(bytes, { objectMode: false, highWaterMark: 16_384 });
    }
    const bytes = await readAll(body);
    meter.saw(parsed(bytes.toString()) ?? { error: { code: 'unreadable_answer' } });
    await meter.settle();
    void reply.status(statusCode).headers(headers);
    return bytes;
  } catch (error) {
    const failure = error instanceof HttpException ? error : noAnswer(error);
    // What ends because the client has left is no failure of the upstream.
    if (!hangUp.signal.aborted) meter.failed('upstream_failed', failure.getStatus());
    throw failure;
  }
}

function isUsageAsked(request: ChatRequest): boolean {
  return request.stream_options?.include_usage === true;
}

/** Asks a stream for its usage; an upstream that refuses to tell is asked again as the client did. */
async function ask(
  upstream: Upstream,
  { request, http }: Exchange,
  signal: AbortSignal,
): Promise<UpstreamAnswer> {
  if (!request.stream || isUsageAsked(request)) {
    return upstream.send(request, http.headers, signal);
  }
  const options = { ...request.stream_options, include_usage: true };
  const asked = { ...request, stream_options: options };
  const answer = await upstream.send(asked, http.headers, signal);
  if (!UNKNOWN_FIELD.has(answer.statusCode)) return answer;
  const refusal = await readAll(answer.body);
  if (/stream_options|include_usage/.test(refusal.toString())) {
    return upstream.send(request, http.headers, signal);
  }
  return { ...answer, body: Readable.from([refusal]) };
}

async function* meterEvents(
  body: AsyncIterable<Uint8Array>,
  { meter, request }: Exchange,
  hangUp: AbortSignal,
): AsyncGenerator<Buffer> {
  const isUsageShown = isUsageAsked(request);
  try {
    for await (const events of eventsOf(body)) {
      const passed = events.map((event) => {
        const part = parsed(dataOf(event));
        if (part) meter.saw(part);
        return !part || isUsageShown ? event : withoutUsage(event, part);
      });
      const bytes = Buffer.concat(passed);
      if (bytes.length > 0) yield bytes;
    }
    await meter.settle();
  } catch (error) {
    if (!hangUp.aborted) meter.failed('upstream_broke_off');
    throw error;
  }
}

/** Takes back out of the stream what only the gateway asked for. */
function withoutUsage(event: Buffer, { usage, ...part }: AnswerPart): Buffer {
  if (usage === undefined) return event;
  if (usage !== null && part.choices?.length === 0) return Buffer.alloc(0);
  return Buffer.from(`data: ${JSON.stringify(part)}\n\n`);
}

async function readAll(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of body) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error('an answer above 64 MiB');
  }
  return Buffer.concat(pieces);
}

/** A part of an answer, or undefined for what is none (`[DONE]`, a comment, broken JSON). */
function parsed(text: string): AnswerPart | undefined {
  if (!text.trimStart().startsWith('{')) return undefined;
  try {
    return JSON.parse(text) as AnswerPart;
  } catch {
    return undefined;
  }
}
