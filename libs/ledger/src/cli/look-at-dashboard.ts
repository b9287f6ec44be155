import type {
  DashboardFrame,
  DashboardHello,
  DashboardNow,
} from '../dashboard/dashboard-frame.interface.js';
import { unpackPoint, type DashboardPoint } from '../dashboard/dashboard-frame.interface.js';
import { TOKEN_PARAMETER, TOKEN_VARIABLE } from '../dashboard/dashboard-token.js';
import { isLoopback } from '../dashboard/is-loopback.js';
import { CommandError } from './command.error.js';

/** Address of a dashboard, and the time to read it. @internal */
export interface DashboardView {
  /** Of the page. */
  readonly url: string;
  /** Default: the first that the dashboard shows. */
  readonly ledger?: string;
  /** Headers for its guards. */
  readonly headers: Readonly<Record<string, string>>;
  readonly seconds: number;
}

/** The last figures. @internal */
export interface Sight {
  readonly ledger: string;
  readonly now: DashboardNow;
  readonly point: DashboardPoint;
}

/** Time limit of the first figures. */
const ANSWER_LIMIT_MS = 10_000;

/**
 * Reads a running ledger's figures from its dashboard's events.
 *
 * @throws CommandError if there is no dashboard, if it refuses access, or if it ends too early
 * @internal
 */
export async function lookAtDashboard(view: DashboardView): Promise<Sight> {
  const end = new AbortController();
  let timer = setTimeout(() => end.abort(), ANSWER_LIMIT_MS);
  let hello: DashboardHello | undefined;
  let sight: Sight | undefined;
  try {
    const body = await openEvents(view, end.signal);
    for await (const { type, data } of eventsOf(body)) {
      if (type === 'hello') hello = JSON.parse(data) as DashboardHello;
      if (type !== 'frame' || hello === undefined) continue;
      if (sight === undefined) {
        clearTimeout(timer);
        timer = setTimeout(() => end.abort(), view.seconds * 1000);
      }
      const { now, point } = JSON.parse(data) as DashboardFrame;
      sight = { ledger: hello.ledger, now, point: unpackPoint(point) };
    }
  } catch (error) {
    if (error instanceof CommandError) throw error;
    if (!end.signal.aborted) throw unreachable(error);
  } finally {
    clearTimeout(timer);
    end.abort();
  }
  if (sight === undefined) throw new CommandError('the dashboard sent no figures');
  return sight;
}

async function openEvents({ url, ledger, headers }: DashboardView, signal: AbortSignal) {
  const events = new URL(url);
  events.pathname = `${events.pathname.replace(/\/$/, '')}/ledger-events`;
  if (ledger !== undefined) events.searchParams.set('ledger', ledger);
  addToken(events);
  const {
    status,
    body,
    headers: answer,
  } = await fetch(events, {
    headers: { ...credentialsOf(events), ...headers },
    signal,
  });
  const isStream = answer.get('content-type')?.startsWith('text/event-stream') ?? false;
  if (status === 200 && isStream && body !== null) return body;
  throw new CommandError(
    `no dashboard answers there (${status}): mount LedgerDashboardModule at that address, with guards ` +
      'that let this request in. Without guards it answers only on its own machine, and only to the ' +
      `link in the application's log (…?${TOKEN_PARAMETER}=…): give that link in quotes, or ` +
      `set ${TOKEN_VARIABLE} for both`,
  );
}

/** The application of this folder has the same environment. The token is sent to no other machine. */
function addToken(url: URL): void {
  const token = process.env[TOKEN_VARIABLE];
  const isHere = isLoopback(url.hostname.replace(/^\[|\]$/g, '')) || url.hostname === 'localhost';
  if (!token || !isHere || url.searchParams.has(TOKEN_PARAMETER)) return;
  url.searchParams.set(TOKEN_PARAMETER, token);
}

/** Removes credentials from the address, because fetch refuses them there. */
function credentialsOf(url: URL): Record<string, string> {
  const [user, password] = [url.username, url.password].map(decodeURIComponent);
  if (!user && !password) return {};
  url.username = url.password = '';
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` };
}

/** Texts of errors may contain the address with a password. */
function unreachable(error: unknown): CommandError {
  const { code } = ((error as Error).cause ?? error) as NodeJS.ErrnoException;
  return new CommandError(`the dashboard can't be reached: ${code ?? 'the connection failed'}`);
}

async function* eventsOf(body: ReadableStream<Uint8Array>) {
  let text = '';
  const decoder = new TextDecoder();
  for await (const piece of body) {
    const blocks = (text + decoder.decode(piece, { stream: true })).split('\n\n');
    text = blocks.pop() ?? '';
    for (const block of blocks) yield { type: field(block, 'event'), data: field(block, 'data') };
  }
}

function field(block: string, name: string): string {
  const line = block.split('\n').find((each) => each.startsWith(`${name}: `));
  return line?.slice(name.length + 2) ?? '';
}
