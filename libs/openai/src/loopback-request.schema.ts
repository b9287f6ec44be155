import { z } from 'zod';
import { fieldsOf, type Fields } from './fields.js';

/**
 * Checks the elements of an array up to the first one at fault. A body may contain some ten
 * thousands of them: a schema for each would block the event loop, and the faults of all would take
 * many times the body's memory.
 */
function eachOf<T>(isRight: (item: unknown) => item is T, element: z.ZodType) {
  return (items: readonly unknown[], context: z.RefinementCtx): T[] => {
    const wrong = items.findIndex((item) => !isRight(item));
    if (wrong < 0) return items as T[];
    for (const issue of element.safeParse(items[wrong]).error?.issues ?? []) {
      context.addIssue({ ...issue, path: [wrong, ...issue.path] });
    }
    return z.NEVER;
  };
}

interface Message extends Fields {
  readonly role: string;
}

const isMessage = (item: unknown): item is Message => typeof fieldsOf(item).role === 'string';
const isText = (item: unknown): item is string => typeof item === 'string';

const list = z.array(z.unknown());

/** The fields read by the built-in provider. */
export const loopbackRequest = z.looseObject({
  model: z.string(),
  messages: list.min(1).transform(eachOf(isMessage, z.looseObject({ role: z.string() }))),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  n: z.int().min(1).max(128).nullish(),
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  stop: z.union([z.string(), list.max(4).transform(eachOf(isText, z.string()))]).nullish(),
});

/** A request that the built-in provider answers. */
export type LoopbackRequest = z.infer<typeof loopbackRequest>;
