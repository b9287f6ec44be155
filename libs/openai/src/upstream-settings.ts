import { z } from 'zod';

/** What a path is put behind. A user and a password in it would not be sent; Azure has a version. */
export const upstreamBaseUrl = z
  .url({ protocol: /^https?$/ })
  .regex(
    /^\w+:\/\/[^/@?#]*(\/[^?#]*)?(\?api-version=[\w.-]+)?$/,
    'a URL without user, query (but for `?api-version=`) and fragment',
  );

/** As it goes into a header; a line end behind it often comes along from a file. */
export const upstreamApiKey = z
  .string()
  .trim()
  .regex(/^[!-~]+$/, 'visible ASCII characters, no blanks');
