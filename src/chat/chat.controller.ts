import { CallMeter, chatRequest, relay, Tokenizer, Upstream, type ChatRequest } from '@app/openai';
import { Body, Controller, Post, Req, Res, UseInterceptors } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { LedgerInterceptor, RecordUsage, type UsageCall } from 'nestjs-ledger';
import type { Readable } from 'node:stream';
import { usage } from '../usage.ledger.js';
import { callEntry } from './call-entry.js';
import { identifyCaller, type CallersRequest } from './caller.js';

type MeteredRequest = CallersRequest & { meter?: CallMeter };

/** Null for a call that was refused before it reached the handler. */
function entryOfCall({ context, end }: UsageCall<unknown, typeof usage>) {
  const { caller, meter, body } = context.switchToHttp().getRequest<MeteredRequest>();
  return caller && meter ? callEntry(caller, (body as ChatRequest).model, meter.usage, end) : null;
}

/** Speaks OpenAI's protocol for chat completions; one entry of the ledger for each request. */
@Controller('v1/chat')
@UseInterceptors(LedgerInterceptor)
export class ChatController {
  constructor(private readonly upstream: Upstream) {}

  @Post('completions')
  @RecordUsage(entryOfCall, { ledger: usage })
  async complete(
    @Body({ schema: chatRequest }) request: ChatRequest,
    @Req() http: MeteredRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Buffer | Readable> {
    http.caller ??= identifyCaller(request.user, http.headers.authorization);
    http.meter = new CallMeter(request, await Tokenizer.load(request.model));
    return relay(this.upstream, { request, meter: http.meter, http, reply });
  }
}
