import { CallMeter, callRequest, endpoints, Relay, type CallRequest } from '@app/openai';
import { Body, Controller, Inject, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { Readable } from 'node:stream';
import { callEntry, type CallEntry } from '../../src/chat/call-entry.js';
import { PriceBook } from '../../src/prices/price-book.js';
import { identifyCaller } from '../../src/chat/caller.js';
import type { HoldingRequest } from '../../src/intake/take-bodies.js';

/** Stores a call, or does nothing; awaited before the answer is sent. */
export type WriteDown = (entry: CallEntry) => Promise<void>;
export const WRITE_DOWN = Symbol('write down');

/** The gateway's handler without a ledger: no interceptor, and an entry only on request. */
@Controller('v1/chat')
export class PlainChatController {
  private readonly prices = new PriceBook(undefined);

  constructor(
    private readonly relay: Relay,
    @Inject(WRITE_DOWN) private readonly writeDown: WriteDown,
  ) {}

  @Post('completions')
  async complete(
    @Body({ schema: callRequest }) request: CallRequest,
    @Req() http: HoldingRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Buffer | Readable> {
    const caller = (http.caller ??= identifyCaller(request.user || undefined, http.headers));
    const endpoint = endpoints.chat;
    const meter = new CallMeter(endpoint, request);
    http.meter = meter;
    const { method, headers, rawBody: body, held } = http;
    const answer = await this.relay.answer({
      caller: caller.userId,
      endpoint,
      method,
      headers,
      body,
      json: request,
      meter,
      reply,
      held,
    });
    const used = await meter.settle();
    const call = { caller, endpoint: endpoint.name, model: request.model, used };
    await this.writeDown(callEntry({ ...call, end: 'completed', at: new Date() }, this.prices));
    return answer;
  }
}
