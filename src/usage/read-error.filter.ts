import { openAiError } from '@app/openai';
import { Catch, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { LedgerReadError } from 'nestjs-ledger';

const STATUS: Readonly<Record<LedgerReadError['reason'], number>> = {
  invalid: 400,
  overflow: 500,
  timeout: 503,
  failed: 503,
  busy: 503,
  unavailable: 501,
};

/** Seconds after which a read without a free place should be retried. */
const BUSY_RETRY_S = 1;

/**
 * Answers a failed read: 400 for an invalid request, 503 while the database is unreachable or busy.
 */
@Catch(LedgerReadError)
export class ReadErrorFilter implements ExceptionFilter {
  catch(error: LedgerReadError, host: ArgumentsHost): void {
    const status = STATUS[error.reason];
    const facts =
      status === 400 ? { param: error.field } : { type: 'server_error' as const, code: error.code };
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    if (error.reason === 'busy') void reply.header('Retry-After', BUSY_RETRY_S);
    void reply.status(status).send(openAiError(error.message, facts));
  }
}
