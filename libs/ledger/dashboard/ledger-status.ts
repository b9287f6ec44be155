import type { DashboardNow } from '../src/dashboard/dashboard-frame.interface.js';
import { byId, fill, setData, setText } from './elements.js';
import type { LinkState } from './event-link.js';
import { clockText, durationText, sentence } from './format.js';

/** Severity, for colours. `calm`: nothing is wrong, but the state is unusual. */
type Level = 'up' | 'degraded' | 'down' | 'calm' | 'off';

interface Status {
  readonly level: Level;
  readonly label: string;
  /** Title of the banner; empty: no banner. */
  readonly title: string;
  readonly text: string;
}

const LINKS: Readonly<Record<LinkState, { level: Level; label: string }>> = {
  connecting: { level: 'off', label: 'connecting' },
  live: { level: 'up', label: 'live' },
  closing: { level: 'off', label: 'stopping' },
  lost: { level: 'down', label: 'reconnecting' },
  refused: { level: 'down', label: 'refused' },
};

interface Stale {
  readonly level: Level;
  readonly title: string;
  readonly text: string;
  /** For screen readers. */
  readonly spoken: string;
}

/** The reason why the figures are outdated. */
const STALE: Readonly<Partial<Record<LinkState, Stale>>> = {
  closing: {
    level: 'calm',
    title: 'The process stops.',
    text: 'Trying again by itself.',
    spoken: 'The process stops.',
  },
  lost: {
    level: 'down',
    title: 'No connection.',
    text: 'Trying again by itself.',
    spoken: 'Connection lost, trying again.',
  },
  refused: {
    level: 'down',
    title: 'The application refuses this page.',
    text: 'Open it again: by the link in the log of the application, or by signing in.',
    spoken: 'The application refuses this page. Open it again.',
  },
};

/** Fills the pills, the banner and the text for screen readers. */
export function showStatus(now: DashboardNow): void {
  const status = statusOf(now);
  const pill = byId('state');
  setText(pill, status.label);
  setData(pill, 'level', status.level);
  const banner = byId('banner');
  banner.hidden = status.title === '';
  setData(banner, 'level', status.level);
  fill('bannerTitle', status.title);
  fill('bannerText', status.text);
  announce(`The ledger is ${status.label}.`);
  fill('run', now.run);
  const seconds = Math.max(1, Math.floor((now.at - now.since) / 1000));
  fill('since', `${now.state} for ${durationText(seconds * 1000)}`);
}

/** Shows whether the page is up to date. */
export function showLink(state: LinkState, lastAt: number | undefined): void {
  const { level, label } = LINKS[state];
  fill('link', label);
  setData(byId('link'), 'level', level);
  document.body.classList.toggle('stale', state in STALE);
  const stale = STALE[state];
  if (stale === undefined) return;
  const banner = byId('banner');
  banner.hidden = false;
  setData(banner, 'level', stale.level);
  fill('bannerTitle', stale.title);
  const when = lastAt === undefined ? '' : ` These figures are of ${clockText(lastAt)}.`;
  fill('bannerText', `${stale.text}${when}`);
  announce(stale.spoken);
}

/** Announced once for each change, without figures. */
function announce(text: string): void {
  setText(byId('announcer'), text);
}

function statusOf(now: DashboardNow): Status {
  const { state, health, database, healthReason, reason } = now;
  const text = sentence(healthReason ?? reason ?? '');
  if (state === 'draining') {
    return { level: 'calm', label: 'draining', title: 'Draining.', text };
  }
  if (state === 'sealed') return { level: 'calm', label: 'sealed', title: 'Sealed.', text };
  if (state === 'halted') return { level: 'down', label: 'halted', title: 'Halted.', text };
  if (database === 'away') {
    const place = now.stream?.role === 'gateway' ? 'stream' : 'database';
    const title = `The ${place} is away.`;
    const fate = now.saturation < 1 ? 'Entries are kept.' : 'No room is left for new entries.';
    return { level: 'down', label: `${place} away`, title, text: `${fate} ${text}` };
  }
  if (state === 'starting') return { level: 'calm', label: 'starting', title: 'Starting.', text };
  if (health === 'up') return { level: 'up', label: 'running', title: '', text: '' };
  const title = health === 'down' ? 'Down.' : 'Degraded.';
  return { level: health, label: health, title, text };
}
