import { openAiError } from '@app/openai';
import { NotFoundException } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

/** A step out of the folder in any spelling; some servers treat `\` like `/`. */
const STEPS_OUT = /(^|\/|\\|%2f|%5c)(\.|%2e){1,2}(\/|\\|%2f|%5c|$)|\\/i;

/**
 * The path of a request below `/v1`, with its query, for the upstream.
 *
 * @throws NotFoundException if it leads outside, or spells `/v1` differently
 */
export function pathBelow({ url }: Pick<FastifyRequest, 'url'>): string {
  const below = url.startsWith('/v1/') ? url.slice('/v1'.length) : '';
  const [path = ''] = below.split(/[?#]/);
  // Some servers decode a path twice.
  if (path === '' || STEPS_OUT.test(path.replace(/%(25)+/g, '%'))) {
    throw new NotFoundException(openAiError('No such path.', { code: 'not_found' }));
  }
  return below.split('#')[0] ?? below;
}
