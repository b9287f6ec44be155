import {
  openAiError,
  whenOver,
  type BytesInFlight,
  type CallMeter,
  type HeldBytes,
} from '@app/openai';
import { UnsupportedMediaTypeException } from '@nestjs/common';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import { identifyCaller, type CallersRequest } from '../chat/caller.js';
import { readBody } from './read-body.js';

/**
 * The types that a page of another site cannot send without asking first, which nobody answers. A form
 * or a text that holds JSON would be a call in the name of whoever opens the page.
 */
const JSON_TYPE = /^application\/([\w.+-]+\+)?json *(;|$)/;

/** Parsing of what is smaller takes a few milliseconds at most. */
const LARGE_BYTES = 512 * 1024;

/** What bodies are taken. */
export interface BodyRules {
  readonly maxBytes: number;
  readonly inFlight: BytesInFlight;
  /** The route whose bodies may be of any type; undefined for none. */
  readonly anyTypeRoute: string | undefined;
}

/** What a request holds in memory until it is over. */
export type HoldingRequest = CallersRequest & {
  held?: HeldBytes;
  /** The body as it came. */
  rawBody?: Buffer;
  /** Of a call that was passed on. */
  meter?: CallMeter;
};

/** Makes the server take JSON, within the bounds of memory, and nothing else. */
export function takeBodies(server: FastifyInstance, rules: BodyRules): void {
  server.removeAllContentTypeParsers();
  // Hooks with `done`: one that is async costs each call a promise and two turns of its queue.
  server.addHook('onRequest', (request: HoldingRequest, reply, done) => {
    if (request.routeOptions.url?.startsWith('/v1/')) holdFor(request, reply, rules.inFlight);
    done();
  });
  server.addHook('preParsing', ({ headers }, reply, _payload, done) => {
    const { 'content-encoding': encoding } = headers;
    if (encoding === undefined || /^identity$/i.test(encoding)) return done();
    void reply.header('accept-encoding', 'identity');
    // It could not be looked into, and would grow while it is unpacked.
    done(unsupported('Send the body unpacked, without content-encoding.'));
  });
  const parse = server.getDefaultJsonParser('error', 'error');
  server.addContentTypeParser(JSON_TYPE, (request, payload, done) => {
    void take(request, payload, { ...rules, isJson: true }).then(
      (bytes) => inItsTurn(bytes.length, () => void parse(request, bytes.toString('utf8'), done)),
      (error: Error) => done(error),
    );
  });
  server.addContentTypeParser('*', async (request: FastifyRequest, payload: IncomingMessage) => {
    const isTaken =
      rules.anyTypeRoute !== undefined && request.routeOptions.url === rules.anyTypeRoute;
    if (!isTaken) throw unsupported('Send JSON, as application/json.');
    return take(request, payload, { ...rules, isJson: false });
  });
}

let lastLarge: Promise<void> = Promise.resolve();

/**
 * Parses a large body in a turn of the event loop of its own, one after the other: of 16 MiB it takes
 * some 60 ms, and what came meanwhile is served before the next one.
 */
function inItsTurn(bytes: number, parse: () => void): void {
  if (bytes < LARGE_BYTES) return parse();
  const next = (): Promise<void> => turn();
  // Whatever becomes of one, the next one has its turn.
  lastLarge = lastLarge.then(next).then(parse).then(next, next);
}

/** Opens what a call holds in memory, and gives it back once the call is over and settled. */
function holdFor(request: HoldingRequest, reply: FastifyReply, inFlight: BytesInFlight): void {
  const held = inFlight.open(callerOf(request));
  request.held = held;
  whenOver(reply, () => {
    const { meter } = request;
    // After its client has left, a call may go on for a while, to learn its usage.
    if (meter && !meter.usage) void meter.settled.finally(() => held.release());
    else held.release();
  });
}

/** With keys the user, else what tells callers apart before the body is there. */
function callerOf(request: CallersRequest): string {
  if (request.caller) return request.caller.userId;
  return identifyCaller(undefined, request.headers).apiKeyId ?? request.ip;
}

async function take(
  request: HoldingRequest,
  payload: IncomingMessage,
  { maxBytes, inFlight, isJson }: BodyRules & { isJson: boolean },
): Promise<Buffer> {
  const held = request.held ?? inFlight.open(request.ip);
  const { 'content-length': length } = request.headers;
  const declaredBytes = length === undefined ? undefined : Number(length);
  request.rawBody = await readBody(payload, { maxBytes, declaredBytes, isJson, held });
  // A call whose client has left was booked as such: it must not be handled as well.
  if (request.raw.socket.destroyed) throw new Error('the client has left');
  return request.rawBody;
}

function unsupported(message: string): UnsupportedMediaTypeException {
  return new UnsupportedMediaTypeException(openAiError(message));
}
