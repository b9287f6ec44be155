/**
 * Draws a recorded outage: requests answered and rows written against time, and under it what was
 * typed and printed. One SVG without anything from outside, readable on light and on dark pages; it
 * plays once, or stands still for who prefers that.
 */

const SIZE = { width: 840, height: 452 };
const PLOT = { left: 64, right: 816, top: 60, bottom: 278 };
const TERMINAL_TOP = 318;
const LINE_HEIGHT = 22;
/** Playback is faster than the recording, because half a minute is too long for a picture. */
const PLAY_SECONDS = 6;

const escape = (text) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
const round = (value) => Number(value.toFixed(1));

/** A round number at or above the value: 1, 1.5, 2, 2.5 or 5 times a power of ten. */
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 2.5, 5, 10].map((factor) => factor * power).find((each) => each >= value);
}

const STYLE = `
  svg { --paper: #ffffff; --ink: #1f2328; --soft: #59636e; --rule: #d1d9e0; --away: #ffebe9;
    --alarm: #b42318; --answered: #0a58ca; --written: #1a7f37; --screen: #f6f8fa; }
  @media (prefers-color-scheme: dark) {
    svg { --paper: #0d1117; --ink: #f0f6fc; --soft: #9198a1; --rule: #3d444d; --away: #3c1618;
      --alarm: #ff938a; --answered: #6cb0ff; --written: #4ac26b; --screen: #151b23; } }
  text { font: 13px ui-sans-serif, system-ui, sans-serif; fill: var(--ink); }
  .soft { fill: var(--soft); } .title { font-size: 15px; font-weight: 600; }
  .mono { font: 13px ui-monospace, monospace; }
  .line { fill: none; stroke-width: 2.5; stroke-linejoin: round; }
  .answered { stroke: var(--answered); } .written { stroke: var(--written); }
  .is-answered { fill: var(--answered); } .is-written { fill: var(--written); }
  .is-away { fill: var(--alarm); font-weight: 600; }`;

/** The curtain moves off the plot as time goes; lines of the terminal come at their moments. */
function motion(playSeconds, moments) {
  const lines = moments.map((at, index) => `.s${index} { animation-delay: ${round(at)}s; }`);
  return `
  @media (prefers-reduced-motion: no-preference) {
    .curtain { animation: open ${playSeconds}s linear both; }
    .step { animation: come 0.3s both; }
    ${lines.join(' ')} }
  .curtain { transform: translateX(${SIZE.width}px); }
  @keyframes open { from { transform: none; } to { transform: translateX(${SIZE.width}px); } }
  @keyframes come { from { opacity: 0; } to { opacity: 1; } }`;
}

function plot(run, lastAt) {
  const { left, right, top, bottom } = PLOT;
  const most = ceiling(run.answered);
  const x = (at) => round(left + ((right - left) * at) / lastAt);
  const y = (count) => round(bottom - ((bottom - top) * count) / most);
  const path = (valueOf) =>
    run.samples.map((each) => `${x(each.at)},${y(valueOf(each))}`).join(' ');
  const levels = [0, 0.5, 1].map((part) => {
    const at = y(most * part);
    return (
      `<line x1="${left}" x2="${right}" y1="${at}" y2="${at}" stroke="var(--rule)"/>` +
      `<text class="soft" x="${left - 8}" y="${at + 4}" text-anchor="end">` +
      `${(most * part).toLocaleString('en-US')}</text>`
    );
  });
  const ticks = Array.from({ length: Math.floor(lastAt / 5) + 1 }, (_, index) => index * 5).map(
    (at) =>
      `<text class="soft" x="${x(at)}" y="${bottom + 20}" text-anchor="middle">${at} s</text>`,
  );
  const [from, to] = [x(run.killedAt), x(run.backAt)];
  return `
  <rect x="${from}" y="${top}" width="${round(to - from)}" height="${bottom - top}" fill="var(--away)"/>
  <text class="is-away" x="${round((from + to) / 2)}" y="${top + 18}" text-anchor="middle">no database</text>
  ${levels.join('\n  ')}
  ${ticks.join('\n  ')}
  <polyline class="line written" points="${path(({ written }) => written)}"/>
  <polyline class="line answered" points="${path(({ answered }) => answered)}"/>
  <rect class="curtain" x="${left + 1}" y="${top - 4}" width="${SIZE.width}" height="${bottom - top + 3}" fill="var(--paper)"/>`;
}

/** @param run what `record-outage.js` measured @returns the text of an SVG file */
export function drawOutage(run) {
  const lastAt = run.samples.at(-1).at;
  const playSeconds = PLAY_SECONDS;
  const moment = (at) => (at / lastAt) * playSeconds;
  const steps = [
    { at: moment(run.killedAt), text: '$ kill -9 postgres' },
    { at: moment(run.backAt), text: '$ postgres -D data     # back' },
    { at: playSeconds + 0.3, text: `$ kill -TERM gateway   # ${run.drained}` },
    { at: playSeconds + 1.2, text: '$ npx nestjs-ledger verify' },
    { at: playSeconds + 1.8, text: run.verify },
  ];
  const lines = steps.map(({ text }, index) => {
    const y = TERMINAL_TOP + 8 + LINE_HEIGHT * (index + 0.6);
    return `<text class="mono step s${index}" x="28" y="${round(y)}">${escape(text)}</text>`;
  });
  const title =
    `${run.answered.toLocaleString('en-US')} requests answered, ${run.refused} refused, ` +
    `${round(run.backAt - run.killedAt)} s without the database`;
  const styles =
    STYLE +
    motion(
      playSeconds,
      steps.map(({ at }) => at),
    );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${SIZE.width} ${SIZE.height}" width="${SIZE.width}" height="${SIZE.height}" role="img" aria-labelledby="title description">
  <title id="title">${escape(title)}</title>
  <desc id="description">Requests answered rise steadily; rows written stop while the database is away and catch up when it is back. verify: ${escape(run.verify)}.</desc>
  <style>${styles}
  </style>
  <rect width="${SIZE.width}" height="${SIZE.height}" rx="8" fill="var(--paper)"/>
  <text class="title" x="20" y="28">${escape(title)}</text>
  <text class="is-answered" x="${PLOT.right}" y="28" text-anchor="end">requests answered</text>
  <text class="is-written" x="${PLOT.right}" y="47" text-anchor="end">rows written</text>
${plot(run, lastAt)}
  <rect x="16" y="${TERMINAL_TOP - 8}" width="${SIZE.width - 32}" height="${LINE_HEIGHT * steps.length + 12}" rx="6" fill="var(--screen)"/>
  ${lines.join('\n  ')}
</svg>
`;
}
