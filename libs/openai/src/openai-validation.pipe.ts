import { BadRequestException, StandardSchemaValidationPipe } from '@nestjs/common';
import { describeIssues } from './describe-issues.js';
import { openAiError } from './openai-error.js';

type Issues = Parameters<
  NonNullable<
    NonNullable<ConstructorParameters<typeof StandardSchemaValidationPipe>[0]>['exceptionFactory']
  >
>[0];

/**
 * Does not change values: the server refuses `__proto__` in a body, and no value is merged into
 * another. Nest's pipe removes a tool's parameter `prototype`, and remembers each visited object: a
 * body may contain millions, which then takes minutes.
 */
class ValidationPipe extends StandardSchemaValidationPipe {
  protected override stripProtoKeys(): void {}
}

/**
 * Answers 400 if a parameter's schema is violated, with every field at fault and its rule; of an
 * array of objects, with the first one at fault.
 */
export const openAiValidationPipe = new ValidationPipe({
  exceptionFactory: (issues: Issues) => {
    const { message, param } = describeIssues(issues);
    return new BadRequestException(openAiError(message, { param }));
  },
});
