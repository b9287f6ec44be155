import { HttpException, type BeforeApplicationShutdown } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import { AnswerReader } from './answer-reader.js';
import type { HeldBytes } from './bytes-in-flight.js';
import { ClientLeftException } from './client-left.exception.js';
import type { CallMeter } from './call-meter.js';
import type { Endpoint } from './endpoints.js';
import { fieldsOf } from './fields.js';
import { noAnswer } from './http-upstream.js';
import type { LargeBody } from './large-bodies.js';
import { Lingering } from './lingering.js';
import { withMember } from './json-members.js';
import { Passage } from './passage.js';
import type { Upstream, UpstreamAnswer, UpstreamCall } from './upstream.js';
import { whenOver } from './when-over.js';

/** A refusal is read to learn its reason; larger ones are passed on unread. */
const MAX_REFUSAL_BYTES = 1024 * 1024;
/** Answers of servers to an unknown field: OpenAI's and most others, and FastAPI's. */
const UNKNOWN_FIELD = new Set([400, 422]);

/** The parts of one call. */
export interface Exchange {
  /** The charged caller: the calls that continue after a client has left are bounded for each. */
  readonly caller: string;
  readonly endpoint: Endpoint;
  readonly method: string;
  readonly headers: IncomingHttpHeaders;
  /** The received bytes and their content. */
  readonly body: Buffer | undefined;
  readonly json: unknown;
  /** Set for a large body: `json` then contains only its known facts. */
  readonly largeBody?: LargeBody | undefined;
  readonly meter: CallMeter;
  readonly reply: FastifyReply;
  /** The call's memory. Without it there is room for everything. */
  readonly held?: HeldBytes | undefined;
}

/** Passes calls on to an upstream and their answers back, and shows them to each call's meter. */
export class Relay implements BeforeApplicationShutdown {
  private readonly lingering: Lingering;

  /**
   * @param lingerMs how long an upstream is read after a client has left, to learn the usage, and a
   *   multiple of it before the first text; with 0 its connection is ended at once
   */
  constructor(
    private readonly upstream: Upstream,
    lingerMs: number,
  ) {
    this.lingering = new Lingering(lingerMs);
  }

  beforeApplicationShutdown(): void {
    this.lingering.stop();
  }

  /**
   * Passes a call on and returns its answer's bytes, with status and headers set: a stream as it
   * comes, at the client's pace. The call's meter is always settled, though maybe later.
   *
   * @throws HttpException 502 or 504 if the upstream does not answer; 499 if the client has left
   */
  async answer(exchange: Exchange): Promise<Buffer | Readable> {
    const { meter, reply } = exchange;
    const end = new AbortController();
    let passage: Passage | undefined;
    const readOn = (bytes: number): void => this.lingering.read(meter, bytes);
    whenOver(reply, () => {
      // A completely sent answer leaves nothing to end, and each abort makes an exception.
      if (reply.raw.writableFinished || meter.usage) return;
      meter.clientLeft();
      passage?.clientLeft(readOn);
      this.lingering.add(exchange.caller, meter, () => end.abort());
    });
    try {
      const { statusCode, headers, body } = await this.ask(exchange, end.signal);
      meter.answered(statusCode, headers, exchange.headers);
      passage = new Passage(readerOf(exchange, headers), meter, () => end.abort());
      if (meter.isAbandoned) passage.clientLeft(readOn);
      const answer = await passage.start(body);
      void reply.status(statusCode).headers(headers);
      return answer;
    } catch (error) {
      const failure = error instanceof HttpException ? error : noAnswer(error);
      const status = failure.getStatus();
      const { isAbandoned } = meter;
      // An end caused by the client's leaving is not a failure of the upstream.
      if (!isAbandoned) meter.failed(status < 500 ? 'refused' : 'upstream_failed', status);
      void meter.settle();
      throw isAbandoned ? new ClientLeftException() : failure;
    }
  }

  /**
   * Requests a stream's usage; if the upstream refuses this, the client's original request is sent.
   */
  private async ask(exchange: Exchange, signal: AbortSignal): Promise<UpstreamAnswer> {
    const { endpoint, method, headers, body, json, largeBody, meter } = exchange;
    const { path } = endpoint;
    const hasReader = (): boolean => !meter.isAbandoned;
    const call: UpstreamCall = { method, path, headers, body, json, largeBody, hasReader };
    if (!asksInSecret(exchange)) return this.upstream.send(call, signal);
    const answer = await this.upstream.send(askingForUsage(call), signal);
    if (!UNKNOWN_FIELD.has(answer.statusCode)) return answer;
    const { bytes, rest } = await readSome(answer.body);
    if (/stream_options|include_usage/.test(bytes.toString())) {
      return this.upstream.send(call, signal);
    }
    return { ...answer, body: rest };
  }
}

function readerOf(exchange: Exchange, headers: IncomingHttpHeaders): AnswerReader {
  const isEventStream = /^text\/event-stream\b/i.test(String(headers['content-type']));
  const isStream = isEventStream || fieldsOf(exchange.json).stream === true;
  return new AnswerReader(exchange.meter, {
    isStream,
    hidesUsage: asksInSecret(exchange),
    isMetered: exchange.endpoint.promptOf !== undefined,
    hold: (bytes) => exchange.held?.add(bytes) ?? true,
  });
}

/** Whether the gateway must request the usage because the client does not. */
function asksInSecret({ endpoint, body, json }: Exchange): boolean {
  const { stream, stream_options: options } = fieldsOf(json);
  if (!endpoint.asksForUsage || stream !== true || !body) return false;
  return fieldsOf(options).include_usage !== true;
}

/** The call with the additional field, all others as written. */
function askingForUsage(call: UpstreamCall): UpstreamCall {
  const json = fieldsOf(call.json);
  const { stream_options: given } = json;
  const options = { ...fieldsOf(given), include_usage: true };
  const body = call.largeBody?.askingForUsage() ?? withOptions(call.body!, options);
  return { ...call, body, json: { ...json, stream_options: options } };
}

function withOptions(body: Buffer, options: object): Buffer {
  // As Latin-1 each byte is a character.
  const value = Buffer.from(JSON.stringify(options)).toString('latin1');
  return Buffer.from(withMember(body.toString('latin1'), 'stream_options', value), 'latin1');
}

/** Reads a refusal, and returns it in readable form again. */
async function readSome(
  body: AsyncIterable<Uint8Array>,
): Promise<{ bytes: Buffer; rest: AsyncIterable<Uint8Array> }> {
  const pieces: Uint8Array[] = [];
  const iterator = body[Symbol.asyncIterator]();
  let read = 0;
  let isDone = false;
  while (!isDone && read < MAX_REFUSAL_BYTES) {
    const next = await iterator.next();
    isDone = next.done === true;
    if (!next.done) pieces.push(next.value);
    read += next.done ? 0 : next.value.length;
  }
  const bytes = Buffer.concat(pieces);
  return { bytes, rest: continued(bytes, iterator) };
}

async function* continued(
  first: Buffer,
  iterator: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield first;
  yield* { [Symbol.asyncIterator]: () => iterator };
}
