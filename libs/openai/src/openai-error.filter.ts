import { Catch, HttpException, Logger, type ArgumentsHost } from '@nestjs/common';
import { BaseExceptionFilter } from '@nestjs/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { isOpenAiError, openAiError } from './openai-error.js';

/** Seconds after which a client may retry if there was no room. */
const RETRY_AFTER_S = 1;

/** Writes errors below `/v1/` like OpenAI's API; others keep the form of Nest and Terminus. */
@Catch()
export class OpenAiErrorFilter extends BaseExceptionFilter {
  private readonly logger = new Logger('gateway');

  override catch(exception: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const reply = http.getResponse<FastifyReply>();
    if (!request.url.startsWith('/v1/') || reply.sent) return super.catch(exception, host);
    const status = statusOf(exception);
    // A temporary lack of room is not a fault, and may occur a thousand times a second.
    if (status >= 500 && status !== 503) this.logger.error(exception);
    if (status === 503) void reply.header('retry-after', RETRY_AFTER_S);
    // When a body is refused, Fastify would close the connection during its transfer, so that most
    // clients fail to write and never read the answer. With an open connection, the rest is read
    // and discarded.
    void reply.removeHeader('connection');
    void reply.status(status).send(bodyOf(exception, status));
  }
}

/** Fastify's own errors (a body that is not JSON, or too long) have `statusCode`. */
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
