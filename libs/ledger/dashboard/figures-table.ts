import type { DashboardPoint } from '../src/dashboard/dashboard-frame.interface.js';
import { make } from './elements.js';
import { clockText } from './format.js';
import type { ChartSpec } from './live-chart.js';

/** Seconds between two rows: a table that changes each second is unreadable. */
const ROW_SECONDS = 10;
const ROWS = 12;

/** The figures of a chart as a table, filled while it is open. */
export class FiguresTable {
  readonly element = make('details', { class: 'figures' });
  readonly #spec: ChartSpec;
  readonly #body = make('tbody');
  #points: readonly DashboardPoint[] = [];
  #shownUntil = 0;

  constructor(spec: ChartSpec) {
    this.#spec = spec;
    const heads = ['Time', ...spec.lines.map(({ label }) => label)].map((text) => {
      const head = make('th', { text });
      head.scope = 'col';
      return head;
    });
    const caption = make('caption', { class: 'hidden', text: spec.title });
    const table = make('table', {}, caption, make('thead', {}, make('tr', {}, ...heads)));
    table.append(this.#body);
    const summary = make('summary', { text: 'Table' });
    summary.append(make('span', { class: 'hidden', text: ` of ${spec.title}` }));
    this.element.append(summary, table);
    this.element.addEventListener('toggle', () => {
      this.#shownUntil = 0;
      this.#render();
    });
  }

  update(points: readonly DashboardPoint[]): void {
    this.#points = points;
    this.#render();
  }

  #render(): void {
    const step = ROW_SECONDS * 1000;
    const last = this.#points.at(-1)?.at ?? 0;
    const until = Math.floor(last / step) * step;
    if (!this.element.open || until === this.#shownUntil) return;
    this.#shownUntil = until;
    const byRow = new Map(this.#points.map((point) => [Math.floor(point.at / step), point]));
    // The newest row is complete only after its last second; until then it shows the latest point.
    const rows = [...byRow.values()].slice(-ROWS).reverse();
    this.#body.replaceChildren(...rows.map((point) => this.#row(point)));
  }

  #row(point: DashboardPoint): HTMLElement {
    const time = make('th', { text: clockText(point.at) });
    time.scope = 'row';
    const cells = this.#spec.lines.map(({ read }) => {
      const value = read(point);
      return make('td', { text: value === null ? '–' : this.#spec.text(value) });
    });
    return make('tr', {}, time, ...cells);
  }
}
