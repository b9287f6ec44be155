import autocannon from 'autocannon';
import { percentile } from '../setup/figures.js';
import { inputOf, nextMessage, tell } from '../setup/child.js';
import { pacedLoad } from '../setup/paced-load.js';

/** Duration and rate; 0 a second means as fast as possible. */
export interface LoadOrder {
  readonly url: string;
  readonly seconds: number;
  readonly perSecond: number;
  /** Requested with GET; without it, a chat completion is requested. */
  readonly path?: string;
}

/** Times in milliseconds. */
export interface LoadReport {
  readonly perSecond: number;
  readonly answered: number;
  readonly others: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

const CONNECTIONS = 32;
const BODY = JSON.stringify({
  model: 'gpt-4o-mini',
  user: 'alice',
  messages: [{ role: 'user', content: 'How many tokens does this question have?' }],
});

const HEADERS = { 'content-type': 'application/json', authorization: 'Bearer sk-bench' };

inputOf<object>();
for (;;) {
  const order = await nextMessage<LoadOrder | { isOver: true }>();
  if ('isOver' in order) break;
  tell(order.perSecond > 0 ? await paced(order) : await atFullSpeed(order));
}
process.exit(0);

interface Question {
  readonly url: string;
  readonly method: 'GET' | 'POST';
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

function questionOf({ url, path }: LoadOrder): Question {
  if (path !== undefined) return { url: `${url}${path}`, method: 'GET' };
  return { url: `${url}/v1/chat/completions`, method: 'POST', headers: HEADERS, body: BODY };
}

async function paced(order: LoadOrder): Promise<LoadReport> {
  const { perSecond, seconds } = order;
  const options = { ...questionOf(order), connections: CONNECTIONS };
  const { times, others, seconds: took } = await pacedLoad({ ...options, perSecond, seconds });
  return {
    perSecond: times.length / took,
    answered: times.length,
    others,
    p50: percentile(times, 0.5),
    p99: percentile(times, 0.99),
    p999: percentile(times, 0.999),
  };
}

async function atFullSpeed(order: LoadOrder): Promise<LoadReport> {
  const {
    '2xx': answered,
    non2xx,
    errors,
    duration,
    latency,
  } = await autocannon({
    ...questionOf(order),
    connections: CONNECTIONS,
    duration: order.seconds,
  });
  return {
    perSecond: answered / duration,
    answered,
    others: non2xx + errors,
    p50: latency.p50,
    p99: latency.p99,
    p999: latency.p99_9,
  };
}
