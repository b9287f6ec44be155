import {
  BadRequestException,
  PayloadTooLargeException,
  ServiceUnavailableException,
} from '@nestjs/common';
import { openAiError } from './openai-error.js';
import type { BodyFault } from './parse-body.js';

/** The refusal of a body because of its content. */
export function refusalOf({ status, message }: BodyFault): Error {
  return status === 400
    ? new BadRequestException(openAiError(message))
    : new PayloadTooLargeException(openAiError(message, { code: 'body_too_large' }));
}

/** The refusal of a body without room at present. */
export function refusalForRoom(): ServiceUnavailableException {
  const message = 'Too many large requests are under way. Try again in a moment.';
  const facts = { type: 'server_error', code: 'gateway_full' } as const;
  return new ServiceUnavailableException(openAiError(message, facts));
}
