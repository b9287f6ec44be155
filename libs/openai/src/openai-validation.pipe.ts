import { BadRequestException, StandardSchemaValidationPipe } from '@nestjs/common';
import { openAiError } from './openai-error.js';

type Issues = Parameters<
  NonNullable<
    NonNullable<ConstructorParameters<typeof StandardSchemaValidationPipe>[0]>['exceptionFactory']
  >
>[0];

/**
 * Leaves values as they came: the server refuses `__proto__` in a body, and no value is merged into
 * another. Nest's way takes a tool's parameter `prototype` away, and remembers each object that it
 * has seen: a body has room for millions, and then it takes minutes.
 */
class ValidationPipe extends StandardSchemaValidationPipe {
  protected override stripProtoKeys(): void {}
}

/**
 * Refuses what breaks a parameter's schema with 400: every field at fault and its rule; of an
 * array of objects, the first one at fault.
 */
export const openAiValidationPipe = new ValidationPipe({
  exceptionFactory: (issues: Issues) => {
    const faults = issues.map((issue) => ({ field: fieldOf(issue.path), rule: issue.message }));
    const message = faults.map(({ field, rule }) => `${field}: ${rule}`).join('; ');
    return new BadRequestException(openAiError(message, { param: faults[0]?.field }));
  },
});

/** Spells a path as OpenAI does: `messages[0].role`. */
function fieldOf(path: Issues[number]['path']): string {
  const keys = (path ?? []).map((part) => (typeof part === 'object' ? part.key : part));
  const field = keys
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('');
  return field.replace(/^\./, '') || 'body';
}
