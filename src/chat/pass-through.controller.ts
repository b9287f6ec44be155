import { freeEndpoint, namesIn, openAiError, takeCall } from '@app/openai';
import { All, Controller, Inject, NotFoundException, Req, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { RecordUsage, type UsageCall } from 'nestjs-ledger';
import type { Readable } from 'node:stream';
import { usage } from '../usage.ledger.js';
import type { CallersRequest } from './caller.js';
import { entryOfCall, MeteredCalls } from './metered-calls.js';
import { pathBelow } from './path-below.js';

/** Prefixes of paths below `/v1` that are passed through; `/` is all of them. */
export const PASS_THROUGH = Symbol('pass through');

type PassedRequest = CallersRequest & { isUnknown?: boolean };

/** A request for an unknown path is not recorded. */
function entryOfPassed(call: UsageCall<unknown, typeof usage>) {
  const [request] = call.context!.getArgs<[PassedRequest]>();
  return request.isUnknown ? null : entryOfCall(call);
}

/**
 * Whether a path equals the allowed one, or lies below it: `/files` does not allow
 * `/files-of-others`.
 */
function isBelow(path: string, begin: string): boolean {
  const isWhole = begin.endsWith('/') || /^([/?]|$)/.test(path.slice(begin.length));
  return path.startsWith(begin) && isWhole;
}

/** Passes any other path through to the upstream unchanged, and records it without tokens. */
@Controller('v1')
export class PassThroughController {
  constructor(
    private readonly calls: MeteredCalls,
    @Inject(PASS_THROUGH) private readonly allowed: readonly string[],
  ) {}

  @All('*')
  @RecordUsage(entryOfPassed, { ledger: usage })
  pass(
    @Req() http: PassedRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Buffer | Readable> {
    takeCall(reply);
    http.isUnknown = true;
    const path = pathBelow(http);
    // The gateway's own paths, which the upstream lacks.
    const isOwn = /^\/usage(\/|\?|$)/.test(path);
    if (isOwn || !this.allowed.some((begin) => isBelow(path, begin))) {
      throw new NotFoundException(openAiError('No such path.', { code: 'not_found' }));
    }
    http.isUnknown = false;
    const [, name = ''] = /^\/([\w-]{1,64})/.exec(path) ?? [];
    // A body that is not JSON yields no names.
    const request = namesIn(http.body);
    return this.calls.answer(freeEndpoint(name, path), request, http, reply);
  }
}
