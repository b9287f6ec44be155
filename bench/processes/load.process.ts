import autocannon from 'autocannon';
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
  const result = await autocannon({
    url: `${url}/v1/chat/completions`,
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer sk-bench' },
    body: BODY,
    connections: CONNECTIONS,
    duration: seconds,
    ...(perSecond > 0 ? { overallRate: perSecond } : {}),
  });
  tell({
    perSecond: result['2xx'] / result.duration,
    answered: result['2xx'],
    others: result.non2xx + result.errors,
    p50: result.latency.p50,
    p99: result.latency.p99,
    p999: result.latency.p99_9,
  });
}
process.exit(0);
