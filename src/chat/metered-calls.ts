import {
  CallMeter,
  LateCounts,
  Relay,
  takeCall,
  type CallRequest,
  type CallUsage,
  type Endpoint,
} from '@app/openai';
import { Injectable } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { InjectLedger, LedgerService, type UsageCall, type UsageEnd } from 'nestjs-ledger';
import type { Readable } from 'node:stream';
import { usage } from '../usage.ledger.js';
import type { HoldingRequest } from '../intake/take-bodies.js';
import { refusedEntry, type CallEntry } from './call-entry.js';
import { identifyCaller } from './caller.js';
import { RepeatedCalls } from './repeated-calls.js';

/** Set by the handler for the mapper; neither if the handler threw earlier. */
type MeteredRequest = HoldingRequest & {
  bookNow?: (used: CallUsage, end: UsageEnd) => CallEntry;
  bookLater?: (end: UsageEnd) => void;
};

/** No entry yet for a call of unknown usage, usually because its client left. */
export function entryOfCall({ context, end }: UsageCall<unknown, typeof usage>): CallEntry | null {
  const [request, reply] = context!.getArgs<[MeteredRequest, FastifyReply]>();
  const { meter, bookNow, bookLater } = request;
  if (!meter || !bookNow) {
    return refusedEntry(request, end === 'aborted' ? 0 : reply.statusCode, end);
  }
  if (meter.usage) return bookNow(meter.usage, end);
  bookLater?.(end);
  return null;
}

/** Forwards calls and records one entry for each. */
@Injectable()
export class MeteredCalls {
  constructor(
    private readonly relay: Relay,
    private readonly lateCounts: LateCounts,
    private readonly repeatedCalls: RepeatedCalls,
    @InjectLedger(usage) private readonly ledger: LedgerService<typeof usage>,
  ) {}

  /**
   * Answers a call to an endpoint. `request`: its body, undefined if there is none or it is
   * unreadable.
   */
  answer(
    endpoint: Endpoint,
    request: Partial<CallRequest> | undefined,
    http: MeteredRequest,
    reply: FastifyReply,
  ): Promise<Buffer | Readable> {
    takeCall(reply);
    const at = new Date();
    const model = request?.model ?? null;
    const meter = new CallMeter(endpoint, request, http.largeBody);
    const caller = (http.caller ??= identifyCaller(request?.user || undefined, http.headers));
    const key = http.headers['idempotency-key'];
    http.meter = meter;
    http.bookNow = (used, end) => {
      const call = { caller, endpoint: endpoint.name, model, used, end, at };
      return this.repeatedCalls.entryOf(call, key);
    };
    http.bookLater = (end) =>
      this.lateCounts.add(meter, (used) => this.ledger.record(http.bookNow!(used, end)));
    const { method, headers, rawBody: body, largeBody, held } = http;
    return this.relay.answer({
      caller: caller.userId,
      endpoint,
      method,
      headers,
      body,
      json: request,
      largeBody,
      meter,
      reply,
      held,
    });
  }
}
