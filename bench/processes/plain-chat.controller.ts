import {
  Body,
  Controller,
  Headers,
  HttpCode,
  Inject,
  Post,
  Res,
  StreamableFile,
} from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Readable } from 'node:stream';
import { identifyCaller } from '../../src/chat/caller.js';
import { answerAtOnce, answerInChunks, type Metering } from '../../src/chat/chat-answer.js';
import { chatRequest, type ChatRequest } from '../../src/chat/chat-request.schema.js';
import type { Completion } from '../../src/chat/completion.js';
import { LoopbackProvider } from '../../src/chat/loopback.provider.js';

/** Writes down a call, or does nothing; awaited before the answer goes out. */
export type WriteDown = (draft: Record<string, unknown>) => Promise<void>;
export const WRITE_DOWN = Symbol('write down');

/** The gateway's handler without a ledger: no interceptor, and no entry unless told. */
@Controller('v1/chat')
export class PlainChatController {
  constructor(
    private readonly provider: LoopbackProvider,
    @Inject(WRITE_DOWN) private readonly writeDown: WriteDown,
  ) {}

  @Post('completions')
  @HttpCode(200)
  async complete(
    @Body({ schema: chatRequest }) request: ChatRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
    @Headers('authorization') authorization?: string,
  ): Promise<Completion | StreamableFile> {
    const draft = { ...identifyCaller(request.user, authorization), model: request.model };
    const answer = await this.provider.answer(request);
    const metering: Metering = {};
    if (request.stream) {
      reply.header('cache-control', 'no-cache');
      const chunks = Readable.from(answerInChunks(request, answer, metering));
      return new StreamableFile(chunks, { type: 'text/event-stream; charset=utf-8' });
    }
    const completion = await answerAtOnce(request, answer, metering);
    await this.writeDown({ ...draft, ...metering });
    return completion;
  }
}
