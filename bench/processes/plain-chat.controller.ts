import { CallMeter, chatRequest, relay, Tokenizer, Upstream, type ChatRequest } from '@app/openai';
import { Body, Controller, Inject, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { Readable } from 'node:stream';
import { callEntry } from '../../src/chat/call-entry.js';
import { identifyCaller, type CallersRequest } from '../../src/chat/caller.js';

/** Writes down a call, or does nothing; awaited before the answer goes out. */
export type WriteDown = (entry: ReturnType<typeof callEntry>) => Promise<void>;
export const WRITE_DOWN = Symbol('write down');

/** The gateway's handler without a ledger: no interceptor, and no entry unless told. */
@Controller('v1/chat')
export class PlainChatController {
  constructor(
    private readonly upstream: Upstream,
    @Inject(WRITE_DOWN) private readonly writeDown: WriteDown,
  ) {}

  @Post('completions')
  async complete(
    @Body({ schema: chatRequest }) request: ChatRequest,
    @Req() http: CallersRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Buffer | Readable> {
    const caller = identifyCaller(request.user, http.headers);
    const meter = new CallMeter(request, await Tokenizer.load(request.model));
    const answer = await relay(this.upstream, { request, meter, http, reply });
    const used = await meter.settle();
    const { model } = request;
    await this.writeDown(
      callEntry({ caller, model, used, end: 'completed', clientKey: undefined }),
    );
    return answer;
  }
}
