import {
  Body,
  Controller,
  Headers,
  HttpCode,
  Post,
  Res,
  StreamableFile,
  UseInterceptors,
} from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { LedgerInterceptor, RecordUsage, Usage, type UsageDraft } from 'nestjs-ledger';
import { Readable } from 'node:stream';
import { usage } from '../usage.ledger.js';
import { identifyCaller } from './caller.js';
import { chatRequest, type ChatRequest } from './chat-request.schema.js';
import { answerAtOnce, answerInChunks, type Metering } from './chat-answer.js';
import type { Completion } from './completion.js';
import { LoopbackProvider } from './loopback.provider.js';
import { entryOfCall } from './entry-of-call.js';

/** Speaks OpenAI's protocol for chat completions; one entry of the ledger for each request. */
@Controller('v1/chat')
@UseInterceptors(LedgerInterceptor)
export class ChatController {
  constructor(private readonly provider: LoopbackProvider) {}

  @Post('completions')
  @HttpCode(200)
  @RecordUsage(entryOfCall, { ledger: usage })
  async complete(
    @Body({ schema: chatRequest }) request: ChatRequest,
    @Usage() draft: UsageDraft<typeof usage>,
    @Res({ passthrough: true }) reply: FastifyReply,
    @Headers('authorization') authorization?: string,
  ): Promise<Completion | StreamableFile> {
    Object.assign(draft, identifyCaller(request.user, authorization), { model: request.model });
    const answer = await this.provider.answer(request);
    const metering: Metering = draft;
    if (!request.stream) return answerAtOnce(request, answer, metering);
    reply.header('cache-control', 'no-cache');
    const chunks = Readable.from(answerInChunks(request, answer, metering));
    return new StreamableFile(chunks, { type: 'text/event-stream; charset=utf-8' });
  }
}
