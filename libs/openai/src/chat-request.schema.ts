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
const objects = list.transform(eachOf(z.looseObject({})));

/** Text, a refusal, or what only the model can read: an image, a sound, a file. */
const part = z.looseObject({
  type: z.string(),
  text: z.string().optional(),
  refusal: z.string().optional(),
});

const message = z.looseObject({
  role: z.enum(['system', 'developer', 'user', 'assistant', 'tool', 'function']),
  /** Null where an assistant called tools instead of speaking. */
  content: z.union([z.string(), list.transform(eachOf(part))]).nullish(),
  name: z.string().optional(),
  tool_calls: objects.optional(),
});

/** Ids go into the ledger as text of at most 256 bytes. */
const id = z
  .string()
  .min(1)
  .refine((text) => Buffer.byteLength(text) <= 256, 'at most 256 bytes')
  .refine((text) => !text.includes('\0'), 'no U+0000')
  .refine((text) => text.isWellFormed(), 'no half of a surrogate pair');

/** Body of `POST /v1/chat/completions`; fields that are not listed are let through unread. */
export const chatRequest = z.looseObject({
  model: id,
  messages: list.min(1).transform(eachOf(message)),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({ include_usage: z.boolean().optional() }).nullish(),
  user: id.optional(),
  n: z.int().min(1).max(128).nullish(),
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  stop: z.union([z.string(), list.max(4).transform(eachOf(z.string()))]).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  tools: objects.optional(),
});

/** Model and user of a body that broke the schema, as far as they are right by themselves. */
export function namesIn(body: unknown): { readonly model?: string; readonly user?: string } {
  const { model, user } = (body ?? {}) as Record<string, unknown>;
  return { model: id.safeParse(model).data, user: id.safeParse(user).data };
}

/** A request that kept the schema. */
export type ChatRequest = z.infer<typeof chatRequest>;
/** One message of a request. */
export type ChatMessage = ChatRequest['messages'][number];
