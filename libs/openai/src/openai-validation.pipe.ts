import { BadRequestException, StandardSchemaValidationPipe } from '@nestjs/common';
import { describeIssues } from './describe-issues.js';
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
    const { message, param } = describeIssues(issues);
    return new BadRequestException(openAiError(message, { param }));
  },
});
