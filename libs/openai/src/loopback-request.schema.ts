import { z } from 'zod';

/**
 * Checks the elements of an array up to the first one at fault. A body has room for millions of
 * them, and the faults of all would take some hundred times its memory.
 */
function eachOf<T extends z.ZodType>(element: T) {
  return (items: readonly unknown[], context: z.RefinementCtx): z.output<T>[] => {
    const checked: z.output<T>[] = [];
    for (const [index, item] of items.entries()) {
      const { data, error } = element.safeParse(item);
      for (const issue of error?.issues ?? []) {
        context.addIssue({ ...issue, path: [index, ...issue.path] });
      }
      if (error) return z.NEVER;
      checked.push(data);
    }
    return checked;
  };
}

const list = z.array(z.unknown());

/** What the built-in provider takes; it reads no other field. */
export const loopbackRequest = z.looseObject({
  model: z.string(),
  messages: list.min(1).transform(eachOf(z.looseObject({ role: z.string() }))),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().nullish() }).nullish(),
  n: z.int().min(1).max(128).nullish(),
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  stop: z.union([z.string(), list.max(4).transform(eachOf(z.string()))]).nullish(),
});

/** A request that the built-in provider answers. */
export type LoopbackRequest = z.infer<typeof loopbackRequest>;
