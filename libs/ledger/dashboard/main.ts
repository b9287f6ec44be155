import type {
  DashboardFrame,
  DashboardHello,
  DashboardNow,
} from '../src/dashboard/dashboard-frame.interface.js';
import { chartSpecs } from './charts.js';
import { showConservationLaw } from './conservation-law.js';
import { byId, fill, make } from './elements.js';
import { EventLink, type LinkState } from './event-link.js';
import { showStatus, showLink } from './ledger-status.js';
import { LiveChart } from './live-chart.js';
import { PointHistory } from './point-history.js';
import { showFigures } from './present-figures.js';
import { showAdvice, showFacts, showSettings } from './side-panels.js';

/** The parameter of the link in the application's log. */
const TOKEN_PARAMETER = 'ledger-token';

const history = new PointHistory();
const marks = { degradedAt: 0.8, downAt: 0.95 };
const charts = chartSpecs(marks).map((spec) => new LiveChart(spec));
const updateLaw = showConservationLaw();
const updateFacts = showFacts();
let now: DashboardNow | undefined;
let build: string | undefined;
let spanMs = 60_000;
let isPaused = false;
let linkState: LinkState = 'connecting';

const link = new EventLink({
  hello: (hello) => greet(hello),
  frame: ({ point, now: next }: DashboardFrame) => {
    history.append(point);
    now = next;
    render();
  },
  link: (state) => {
    if (state === linkState) return;
    linkState = state;
    showLink(state, now?.at);
  },
});

forgetToken();
byId('charts').append(...charts.map(({ element }) => element));
followControls();
link.open(new URLSearchParams(location.search).get('ledger') ?? undefined);

/**
 * The cookie now contains the token, and an address is shown, kept in the history, and written to
 * access logs.
 */
function forgetToken(): void {
  const address = new URL(location.href);
  if (!navigator.cookieEnabled || !address.searchParams.has(TOKEN_PARAMETER)) return;
  address.searchParams.delete(TOKEN_PARAMETER);
  window.history.replaceState(null, '', address);
}

function greet(hello: DashboardHello): void {
  if (build !== undefined && build !== hello.build) location.reload();
  build = hello.build;
  history.limit(hello.historyMs, hello.sampleMs);
  history.add(hello.points);
  marks.degradedAt = Number(hello.settings['healthDegradedAt']?.value ?? marks.degradedAt);
  marks.downAt = Number(hello.settings['healthDownAt']?.value ?? marks.downAt);
  now = hello.now;
  showSettings(hello.settings);
  showLedgers(hello);
  render();
}

/** A hidden page draws nothing; the next visible frame has all points. */
function render(): void {
  if (now === undefined || isPaused || document.hidden) return;
  const last = history.points.at(-1);
  if (last === undefined) return;
  showStatus(now);
  showFigures(now, last, marks);
  updateLaw(now);
  updateFacts(now);
  showAdvice(now.advice);
  const points = history.lastOf(spanMs);
  for (const chart of charts) chart.update(points, last.at, spanMs);
}

function showLedgers({ ledger, ledgers }: DashboardHello): void {
  fill('ledger', ledger === 'default' ? '' : ledger);
  document.title = ledger === 'default' ? 'Usage ledger' : `${ledger} – usage ledger`;
  byId('pick').hidden = ledgers.length < 2;
  const select = byId<HTMLSelectElement>('ledgers');
  select.replaceChildren(
    ...ledgers.map((name) => {
      const option = make('option', { text: name });
      option.value = name;
      option.selected = name === ledger;
      return option;
    }),
  );
}

function followControls(): void {
  for (const input of document.querySelectorAll<HTMLInputElement>('input[name="span"]')) {
    input.addEventListener('change', () => {
      spanMs = Number(input.value) * 1000;
      render();
    });
  }
  const pause = byId<HTMLButtonElement>('pause');
  pause.addEventListener('click', () => {
    isPaused = !isPaused;
    pause.setAttribute('aria-pressed', String(isPaused));
    render();
  });
  byId<HTMLSelectElement>('ledgers').addEventListener('change', ({ target }) => {
    const ledger = (target as HTMLSelectElement).value;
    const address = new URL(location.href);
    address.searchParams.set('ledger', ledger);
    window.history.replaceState(null, '', address);
    history.clear();
    link.open(ledger);
  });
  document.addEventListener('visibilitychange', render);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    for (const chart of charts) chart.recolour();
  });
}
