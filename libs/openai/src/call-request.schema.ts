import { z } from 'zod';

/** Ids are stored in the ledger as text of at most 256 bytes. */
const id = z
  .string()
  .min(1)
  .refine((text) => Buffer.byteLength(text) <= 256, 'at most 256 bytes')
  .refine((text) => !text.includes('\0'), 'no U+0000')
  .refine((text) => text.isWellFormed(), 'no half of a surrogate pair');

/** OpenAI's clients write null, and some others an empty text, if they have no user. */
const user = z.union([id, z.literal('')]).nullish();

const metered = z.object({ model: id, user, stream: z.boolean().nullish() });

/** A request that passed the schema; it also has all other fields. */
export type CallRequest = z.infer<typeof metered>;

/**
 * The part of a call that the gateway needs for metering. The upstream judges everything else,
 * which is passed on as written. The request itself is passed on: copying one with 90,000 fields
 * would block the event loop for longer than parsing it.
 */
export const callRequest = z.unknown().transform((body, context): CallRequest => {
  const { error } = metered.safeParse(body);
  for (const issue of error?.issues ?? []) context.addIssue({ ...issue });
  return error ? z.NEVER : (body as CallRequest);
});

/** Model and user of any body, as far as they are valid. */
export function namesIn(body: unknown): { readonly model?: string; readonly user?: string } {
  const { model, user: named } = (body ?? {}) as Record<string, unknown>;
  return { model: id.safeParse(model).data, user: id.safeParse(named).data };
}
