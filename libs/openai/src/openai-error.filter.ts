import { Catch, HttpException, Logger, type ArgumentsHost } from '@nestjs/common';
import { BaseExceptionFilter } from '@nestjs/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isOpenAiError, openAiError } from './openai-error.js';

/** Seconds after which a client may ask again where there was no room. */
const RETRY_AFTER_S = 1;

/** Writes errors below `/v1/` as OpenAI's API does; others stay as Nest and Terminus write them. */
@Catch()
export class OpenAiErrorFilter extends BaseExceptionFilter {
  private readonly logger = new Logger('gateway');

  override catch(exception: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const reply = http.getResponse<FastifyReply>();
    if (!request.url.startsWith('/v1/') || reply.sent) return super.catch(exception, host);
    const status = statusOf(exception);
    // That there is no room just now is no fault, and may be said a thousand times a second.
    if (status >= 500 && status !== 503) this.logger.error(exception);
    if (status === 503) void reply.header('retry-after', RETRY_AFTER_S);
    // Where a body is refused, Fastify would close the connection while it comes, so that most
    // clients fail to write and never read the answer. Kept open, the rest is read and forgotten.
    void reply.removeHeader('connection');
    void reply.status(status).send(bodyOf(exception, status));
  }
}

/** Fastify's own errors (a body that is no JSON, or too long) carry `statusCode`. */
function statusOf(exception: unknown): number {
  if (exception instanceof HttpException) return exception.getStatus();
  const { statusCode } = (exception ?? {}) as { statusCode?: unknown };
  return typeof statusCode === 'number' ? statusCode : 500;
}

function bodyOf(exception: unknown, status: number): object {
  const body = exception instanceof HttpException ? exception.getResponse() : undefined;
  if (isOpenAiError(body)) return body;
  if (status < 500 && exception instanceof Error) return openAiError(exception.message);
  const message = 'The server had an error while processing your request.';
  return openAiError(message, { type: 'server_error' });
}
