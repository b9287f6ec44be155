import {
  CallMeter,
  chatRequest,
  LateCounts,
  relay,
  Tokenizer,
  Upstream,
  type ChatRequest,
} from '@app/openai';
import { Body, Controller, Post, Req, Res, UseInterceptors } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import {
  InjectLedger,
  LedgerInterceptor,
  LedgerService,
  RecordUsage,
  type UsageCall,
  type UsageEnd,
} from 'nestjs-ledger';
import type { Readable } from 'node:stream';
import { usage } from '../usage.ledger.js';
import { callEntry, refusedEntry } from './call-entry.js';
import { identifyCaller, type CallersRequest } from './caller.js';

/** What the handler leaves for the mapper. A call that was refused before it has neither. */
type MeteredRequest = CallersRequest & { meter?: CallMeter; bookLater?: (end: UsageEnd) => void };

function clientKeyOf({ headers }: MeteredRequest): string | undefined {
  const key = headers['idempotency-key'];
  return typeof key === 'string' ? key : undefined;
}

/** None at once for a client that left before a long text was counted. */
function entryOfCall({ context, end }: UsageCall<unknown, typeof usage>) {
  const [request, reply] = context!.getArgs<[MeteredRequest, FastifyReply]>();
  const { caller, meter, body, bookLater } = request;
  if (!caller || !meter) {
    return refusedEntry(request, end === 'aborted' ? 0 : reply.statusCode, end);
  }
  const used = meter.usage;
  const { model } = body as ChatRequest;
  if (used) return callEntry({ caller, model, used, end, clientKey: clientKeyOf(request) });
  bookLater?.(end);
  return null;
}

/** Speaks OpenAI's protocol for chat completions; one entry of the ledger for each request. */
@Controller('v1/chat')
// Calls that are refused before the handler have an entry, too.
@UseInterceptors(LedgerInterceptor)
export class ChatController {
  constructor(
    private readonly upstream: Upstream,
    private readonly lateCounts: LateCounts,
    @InjectLedger(usage) private readonly ledger: LedgerService<typeof usage>,
  ) {}

  @Post('completions')
  @RecordUsage(entryOfCall, { ledger: usage })
  async complete(
    @Body({ schema: chatRequest }) request: ChatRequest,
    @Req() http: MeteredRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Buffer | Readable> {
    const meter = new CallMeter(request, await Tokenizer.load(request.model));
    const caller = (http.caller ??= identifyCaller(request.user, http.headers));
    http.meter = meter;
    http.bookLater = (end) =>
      this.lateCounts.add(meter, (used) =>
        this.ledger.record(
          callEntry({ caller, model: request.model, used, end, clientKey: clientKeyOf(http) }),
        ),
      );
    return relay(this.upstream, { request, meter, http, reply });
  }
}
