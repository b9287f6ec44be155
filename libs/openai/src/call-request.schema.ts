import { z } from 'zod';

/** Ids go into the ledger as text of at most 256 bytes. */
const id = z
  .string()
  .min(1)
  .refine((text) => Buffer.byteLength(text) <= 256, 'at most 256 bytes')
  .refine((text) => !text.includes('\0'), 'no U+0000')
  .refine((text) => text.isWellFormed(), 'no half of a surrogate pair');

/** OpenAI's clients write null, and some others an empty text, where they have no user. */
const user = z.union([id, z.literal('')]).nullish();

/**
 * What the gateway has to know of a call to meter it. All else is the upstream's to judge, and is
 * passed on as it was written.
 */
export const callRequest = z.looseObject({
  model: id,
  user,
  stream: z.boolean().nullish(),
});

/** A request that kept the schema. */
export type CallRequest = z.infer<typeof callRequest>;

/** Model and user of any body, as far as they are right by themselves. */
export function namesIn(body: unknown): { readonly model?: string; readonly user?: string } {
  const { model, user: named } = (body ?? {}) as Record<string, unknown>;
  return { model: id.safeParse(model).data, user: id.safeParse(named).data };
}
