import {
  openAiError,
  whenOver,
  type BytesInFlight,
  type CallMeter,
  type HeldBytes,
} from '@app/openai';
import { UnsupportedMediaTypeException } from '@nestjs/common';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import { identifyCaller, type CallersRequest } from '../chat/caller.js';
import { readBody } from './read-body.js';

/**
 * The types that a page of another site cannot send without asking first, which nobody answers. A form
 * or a text that holds JSON would be a call in the name of whoever opens the page.
 */
const JSON_TYPE = /^application\/([\w.+-]+\+)?json *(;|$)/;

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
  server.addHook('onRequest', async (request: HoldingRequest, reply) => {
    if (!request.routeOptions.url?.startsWith('/v1/')) return;
    const held = rules.inFlight.open(callerOf(request));
    request.held = held;
    whenOver(reply, () => {
      // After its client has left, a call may go on for a while, to learn its usage.
      if (request.meter)
        void request.meter.settled.then(
          () => held.release(),
          () => held.release(),
        );
      else held.release();
    });
  });
  server.addHook('preParsing', async ({ headers }, reply) => {
    const { 'content-encoding': encoding = 'identity' } = headers;
    if (/^identity$/i.test(encoding)) return;
    void reply.header('accept-encoding', 'identity');
    // It could not be looked into, and would grow while it is unpacked.
    throw unsupported('Send the body unpacked, without content-encoding.');
  });
  const parse = server.getDefaultJsonParser('error', 'error');
  server.addContentTypeParser(JSON_TYPE, (request, payload, done) => {
    void take(request, payload, { ...rules, isJson: true }).then(
      (bytes) => parse(request, bytes.toString('utf8'), done),
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
