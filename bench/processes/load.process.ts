import autocannon from 'autocannon';
import { percentile } from '../setup/figures.js';
import { inputOf, nextMessage, tell } from '../setup/child.js';

/** How long and how hard; 0 a second is as hard as it goes. */
export interface LoadOrder {
  readonly url: string;
  readonly seconds: number;
  readonly perSecond: number;
}

const CONNECTIONS = 32;
const BODY = JSON.stringify({
  model: 'gpt-4o-mini',
  user: 'alice',
  messages: [{ role: 'user', content: 'How many tokens does this question have?' }],
});

inputOf<object>();
for (;;) {
  const order = await nextMessage<LoadOrder | { isOver: true }>();
  if ('isOver' in order) break;
  const { url, seconds, perSecond } = order;
  // Finer than the histogram of the load generator, whose values are whole milliseconds.
  const times: number[] = [];
  const options: autocannon.Options = {
    url: `${url}/v1/chat/completions`,
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer sk-bench' },
    body: BODY,
    connections: CONNECTIONS,
    duration: seconds,
    ...(perSecond > 0 ? { overallRate: perSecond } : {}),
  };
  const result = await new Promise<autocannon.Result>((resolve, reject) => {
    const load = autocannon(options, (error, found) => {
      if (error) reject(error as Error);
      else resolve(found);
    });
    load.on('response', (_client, _status, _bytes, ms) => times.push(ms));
  });
  tell({
    perSecond: result['2xx'] / result.duration,
    answered: result['2xx'],
    others: result.non2xx + result.errors,
    p50: result.latency.p50,
    p99: result.latency.p99,
    p999: result.latency.p99_9,
    fine: { p50: percentile(times, 0.5), p99: percentile(times, 0.99) },
  });
}
process.exit(0);
