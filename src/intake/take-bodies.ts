import {
  ClientLeftException,
  LargeBodies,
  openAiError,
  parseBody,
  refusalForRoom,
  refusalOf,
  whenOver,
  type BytesInFlight,
  type CallMeter,
  type HeldBytes,
  type LargeBody,
} from '@app/openai';
import { UnsupportedMediaTypeException } from '@nestjs/common';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import { identifyCaller, type CallersRequest } from '../chat/caller.js';
import { readBody } from './read-body.js';

/**
 * The types that a page of another site can't send without a preflight request, which is never
 * answered. A form or a text that contains JSON would be a call in the name of the page's visitor.
 */
const JSON_TYPE = /^application\/([\w.+-]+\+)?json *(;|$)/;

/**
 * Smaller bodies are parsed at once, in at most a millisecond; a round trip to a thread takes as
 * long.
 */
const LARGE_BYTES = 64 * 1024;

/**
 * Approximate memory of a call in addition to its body: 1,100 calls that waited for their upstream
 * took 46 MB. A client may send thousands of small ones on one connection without waiting for an
 * answer.
 */
const CALL_BYTES = 32 * 1024;

/** The accepted bodies. */
export interface BodyRules {
  readonly maxBytes: number;
  readonly inFlight: BytesInFlight;
  /** The route whose bodies may be of any type; undefined for none. */
  readonly anyTypeRoute: string | undefined;
}

/** Data of a request in memory until its end. */
export type HoldingRequest = CallersRequest & {
  held?: HeldBytes;
  /** The received body. */
  rawBody?: Buffer | undefined;
  /** Set for a large body: `body` then contains only the data for metering. */
  largeBody?: LargeBody;
  /** Set while a thread has the body. */
  reading?: Promise<LargeBody> | undefined;
  /** Set for a call that was passed on. */
  meter?: CallMeter;
};

/** Makes the server accept only JSON, within the bounds of memory. */
export function takeBodies(server: FastifyInstance, rules: BodyRules): void {
  server.removeAllContentTypeParsers();
  // Hooks with `done`: an async hook costs each call a promise and two turns of its queue.
  server.addHook('onRequest', (request: HoldingRequest, reply, done) => {
    if (request.routeOptions.url?.startsWith('/v1/')) holdFor(request, reply, rules.inFlight);
    done();
  });
  // Not earlier, because a request refused there is not recorded.
  server.addHook('preParsing', ({ headers, held }: HoldingRequest, reply, _payload, done) => {
    if (held && !held.add(CALL_BYTES)) return done(refusalForRoom());
    const { 'content-encoding': encoding } = headers;
    if (encoding === undefined || /^identity$/i.test(encoding)) return done();
    void reply.header('accept-encoding', 'identity');
    // It could not be inspected, and would grow when unpacked.
    done(unsupported('Send the body unpacked, without content-encoding.'));
  });
  const largeBodies = new LargeBodies();
  server.addContentTypeParser(JSON_TYPE, (request, payload, done) => {
    void take(request, payload, rules).then(
      (bytes) => {
        if (bytes.length >= LARGE_BYTES) {
          return void readApart(request, largeBodies).then((json) => done(null, json), done);
        }
        const { json, fault } = parseBody(bytes);
        done(fault ? refusalOf(fault) : null, json);
      },
      (error: Error) => done(error),
    );
  });
  server.addContentTypeParser('*', async (request: FastifyRequest, payload: IncomingMessage) => {
    const isTaken =
      rules.anyTypeRoute !== undefined && request.routeOptions.url === rules.anyTypeRoute;
    if (!isTaken) throw unsupported('Send JSON, as application/json.');
    return take(request, payload, rules);
  });
}

/** Reserves a call's memory, and releases it once the call has ended and is settled. */
function holdFor(request: HoldingRequest, reply: FastifyReply, inFlight: BytesInFlight): void {
  const held = inFlight.open(callerOf(request));
  request.held = held;
  whenOver(reply, () => {
    const { meter, reading } = request;
    const release = (): void => held.release();
    // After its client has left, a call may continue for a while, to learn its usage.
    if (meter && !meter.usage) void meter.settled.finally(release);
    // A body may also wait for its thread: clients that send and leave must not fill the memory.
    else if (reading) void reading.then(release, release);
    else release();
  });
}

/** The user with keys; otherwise the facts that distinguish callers before the body has arrived. */
function callerOf(request: CallersRequest): string {
  if (request.caller) return request.caller.userId;
  return identifyCaller(undefined, request.headers).apiKeyId ?? request.ip;
}

async function take(
  request: HoldingRequest,
  payload: IncomingMessage,
  { maxBytes, inFlight }: BodyRules,
): Promise<Buffer> {
  const held = request.held ?? inFlight.open(request.ip);
  const { 'content-length': length } = request.headers;
  const declaredBytes = length === undefined ? undefined : Number(length);
  request.rawBody = await readBody(payload, { maxBytes, declaredBytes, held });
  stopIfLeft(request);
  return request.rawBody;
}

/** Reads a body in a thread, which owns the bytes meanwhile. */
async function readApart(request: HoldingRequest, largeBodies: LargeBodies): Promise<unknown> {
  const bytes = request.rawBody!;
  request.rawBody = undefined;
  request.reading = largeBodies.read(bytes, callerOf(request));
  const largeBody = await request.reading;
  request.reading = undefined;
  stopIfLeft(request);
  request.largeBody = largeBody;
  request.rawBody = largeBody.bytes;
  return largeBody.json;
}

/** A call whose client has left was already recorded as such, so it must not be handled too. */
function stopIfLeft({ raw }: HoldingRequest): void {
  if (raw.socket.destroyed) throw new ClientLeftException();
}

function unsupported(message: string): UnsupportedMediaTypeException {
  return new UnsupportedMediaTypeException(openAiError(message));
}
