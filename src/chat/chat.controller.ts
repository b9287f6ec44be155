import { CallMeter, chatRequest, relay, Tokenizer, Upstream, type ChatRequest } from '@app/openai';
import { Body, Controller, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { RecordUsage, type UsageCall } from 'nestjs-ledger';
import type { Readable } from 'node:stream';
import { usage } from '../usage.ledger.js';
import { callEntry, refusedEntry } from './call-entry.js';
import { identifyCaller, type CallersRequest } from './caller.js';

type MeteredRequest = CallersRequest & { meter?: CallMeter };

/** A call without a meter was refused before it reached the handler: its body breaks the schema. */
function entryOfCall({ context, end }: UsageCall<unknown, typeof usage>) {
  const [request, reply] = context.getArgs<[MeteredRequest, FastifyReply]>();
  const { caller, meter, body } = request;
  if (!caller || !meter) {
    return refusedEntry(request, end === 'aborted' ? 0 : reply.statusCode, end);
  }
  return callEntry(caller, (body as ChatRequest).model, meter.usage, end);
}

/** Speaks OpenAI's protocol for chat completions; one entry of the ledger for each request. */
@Controller('v1/chat')
export class ChatController {
  constructor(private readonly upstream: Upstream) {}

  @Post('completions')
  @RecordUsage(entryOfCall, { ledger: usage })
  async complete(
    @Body({ schema: chatRequest }) request: ChatRequest,
    @Req() http: MeteredRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Buffer | Readable> {
    const tokenizer = await Tokenizer.load(request.model);
    http.caller ??= identifyCaller(request.user, http.headers.authorization);
    http.meter = new CallMeter(request, tokenizer);
    return relay(this.upstream, { request, meter: http.meter, http, reply });
  }
}
