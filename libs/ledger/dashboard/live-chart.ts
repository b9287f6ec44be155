import uPlot from 'uplot';
import type { DashboardPoint } from '../src/dashboard/dashboard-frame.interface.js';
import { make, setText } from './elements.js';
import { FiguresTable } from './figures-table.js';
import { clockText } from './format.js';

/** Name of a colour of the page. */
export type Tone = 'in' | 'out' | 'violet' | 'warn' | 'bad' | 'muted';

/** One line of a chart, or one part of a stack. */
export interface LineSpec {
  readonly label: string;
  readonly tone: Tone;
  readonly read: (point: DashboardPoint) => number | null;
  readonly isDashed?: boolean;
}

/** Content of a chart. */
export interface ChartSpec {
  readonly title: string;
  readonly note?: string;
  readonly isWide?: boolean;
  /** Stacked bars, the first at the bottom. */
  readonly isStacked?: boolean;
  /** Whole numbers only. */
  readonly isCount?: boolean;
  readonly lines: readonly LineSpec[];
  /** Text of a value, with its unit. */
  readonly text: (value: number) => string;
  /** Minimum end of the axis. */
  readonly least: number;
  /** Maximum end of the axis. */
  readonly most?: number;
  /** Horizontal lines at these levels. */
  readonly marks?: () => readonly { readonly at: number; readonly tone: Tone }[];
}

const PLOT_HEIGHT = 172;
const SYNC_KEY = 'ledger';
const NO_VALUE = '–';
const COUNT_STEPS = [1, 2, 5, 10, 20, 50, 100];
/** Half the width of a time label below the axis, in pixels. */
const HALF_TIME_PX = 26;

/** A chart that moves with time: figure, keys with the present values, and a table of them. */
export class LiveChart {
  readonly element: HTMLElement;
  readonly #spec: ChartSpec;
  readonly #plotBox: HTMLElement;
  readonly #values: readonly HTMLElement[];
  readonly #table: FiguresTable;
  readonly #plot: uPlot;
  #points: readonly DashboardPoint[] = [];
  #cursor: number | null = null;
  #range = { min: 0, max: 1 };

  constructor(spec: ChartSpec) {
    this.#spec = spec;
    this.#values = spec.lines.map(() => make('b', { text: NO_VALUE }));
    this.#plotBox = make('div', { class: 'plot' });
    this.#table = new FiguresTable(spec);
    this.element = this.#assemble();
    this.#plot = new uPlot(this.#options(), [[], ...spec.lines.map(() => [])], this.#plotBox);
    this.#followSize();
    this.#followKeys();
  }

  /** @param to right end of the time axis, milliseconds since 1970 */
  update(points: readonly DashboardPoint[], to: number, spanMs: number): void {
    this.#points = points;
    this.#range = { min: (to - spanMs) / 1000, max: to / 1000 };
    this.#plot.setData(this.#columns(), true);
    this.#showValues();
    this.#table.update(points);
  }

  /** Applies the page's present colours. */
  recolour(): void {
    this.#plot.redraw(false, true);
  }

  #assemble(): HTMLElement {
    const { title, note, lines, isWide } = this.#spec;
    const heading = make('h3', { text: `${title} ` });
    if (note !== undefined) heading.append(make('small', { text: note }));
    const keys = make(
      'ul',
      { class: 'keys' },
      ...lines.map(({ label, tone, isDashed }, index) => {
        const name = make('span', { text: label });
        const dash = isDashed === true ? ' dashed' : '';
        return make('li', { class: `tone-${tone}${dash}` }, name, this.#values[index]!);
      }),
    );
    const box = this.#plotBox;
    box.tabIndex = 0;
    box.setAttribute('role', 'slider');
    box.setAttribute('aria-label', `${title} over time`);
    box.setAttribute('aria-orientation', 'horizontal');
    box.setAttribute('aria-valuemin', '0');
    this.#describe();
    const caption = make('figcaption', {}, heading, keys);
    const kind = isWide === true ? 'chart wide' : 'chart';
    return make('figure', { class: kind }, caption, box, this.#table.element);
  }

  #columns(): uPlot.AlignedData {
    const { lines, isStacked } = this.#spec;
    const times = this.#points.map(({ at }) => at / 1000);
    const columns = lines.map(({ read }) => this.#points.map(read));
    if (isStacked === true) {
      // Each part is drawn from zero up to its own top, the highest first.
      for (let i = 1; i < columns.length; i += 1) {
        columns[i] = columns[i]!.map((value, at) => sum(value, columns[i - 1]![at] ?? null));
      }
      columns.reverse();
    }
    return [times, ...columns];
  }

  #options(): uPlot.Options {
    const { lines, isStacked } = this.#spec;
    const drawn = isStacked === true ? lines.toReversed() : lines;
    return {
      width: 300,
      height: PLOT_HEIGHT,
      legend: { show: false },
      padding: [8, 6, 0, 0],
      cursor: {
        sync: { key: SYNC_KEY },
        y: false,
        drag: { x: false, y: false },
        points: { size: 7 },
      },
      scales: {
        x: { time: true, range: () => [this.#range.min, this.#range.max] },
        y: { range: (_, __, max) => [0, this.#top(max)] },
      },
      axes: [this.#timeAxis(), this.#valueAxis()],
      series: [{}, ...drawn.map((line) => seriesOf(line, isStacked === true))],
      hooks: {
        setCursor: [(plot) => this.#pointAt(plot.cursor.idx ?? null)],
        drawAxes: [(plot) => this.#drawMarks(plot)],
      },
    };
  }

  #timeAxis(): uPlot.Axis {
    return {
      ...axisLook(),
      grid: { show: false },
      space: 84,
      size: 24,
      values: (plot, times) => times.map((time) => timeLabel(plot, time)),
    };
  }

  #valueAxis(): uPlot.Axis {
    return {
      ...axisLook(),
      grid: { stroke: () => colour('--grid'), width: 1 },
      space: 36,
      ...(this.#spec.isCount === true && { incrs: COUNT_STEPS }),
      size: (plot, texts) => Math.max(38, widest(plot, texts) + 14),
      values: (_, values) => values.map((value) => this.#spec.text(value)),
    };
  }

  #top(max: number | null): number {
    const { least, most, isCount } = this.#spec;
    if (isCount === true) return Math.ceil(Math.max(least, (max ?? 0) * 1.12));
    return Math.min(most ?? Infinity, roundUp(Math.max(least, (max ?? 0) * 1.12)));
  }

  #drawMarks(plot: uPlot): void {
    const { ctx, bbox } = plot;
    for (const { at, tone } of this.#spec.marks?.() ?? []) {
      const y = plot.valToPos(at, 'y', true);
      ctx.save();
      ctx.strokeStyle = colour(`--${tone}`);
      ctx.globalAlpha = 0.7;
      ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
      ctx.lineWidth = devicePixelRatio;
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.restore();
    }
  }

  #pointAt(index: number | null): void {
    this.#cursor = index;
    this.#showValues();
  }

  /** The point under the cursor, else the last one. */
  get #shown(): DashboardPoint | undefined {
    return (this.#cursor === null ? undefined : this.#points[this.#cursor]) ?? this.#points.at(-1);
  }

  #showValues(): void {
    const point = this.#shown;
    this.#spec.lines.forEach(({ read }, index) => {
      const value = point === undefined ? null : read(point);
      setText(this.#values[index]!, value === null ? NO_VALUE : this.#spec.text(value));
    });
  }

  /**
   * A description for people who can't see the lines; only on a key, because otherwise it would be
   * read each second.
   */
  #describe(): void {
    const point = this.#shown;
    const { lines, text } = this.#spec;
    const figures = lines.map(({ label, read }) => {
      const value = point === undefined ? null : read(point);
      return `${label} ${value === null ? 'none' : text(value)}`;
    });
    const when = point === undefined ? 'no figures yet' : clockText(point.at);
    const box = this.#plotBox;
    box.setAttribute('aria-valuemax', String(Math.max(0, this.#points.length - 1)));
    box.setAttribute('aria-valuenow', String(this.#cursor ?? Math.max(0, this.#points.length - 1)));
    box.setAttribute('aria-valuetext', `${when}: ${figures.join(', ')}`);
  }

  #followSize(): void {
    new ResizeObserver(([entry]) => {
      const width = Math.floor(entry?.contentRect.width ?? 0);
      if (width > 0 && width !== this.#plot.width) {
        this.#plot.setSize({ width, height: PLOT_HEIGHT });
      }
    }).observe(this.#plotBox);
  }

  #followKeys(): void {
    this.#plotBox.addEventListener('focus', () => this.#describe());
    this.#plotBox.addEventListener('keydown', (event) => {
      const last = this.#points.length - 1;
      const from = this.#cursor ?? last;
      const targets: Record<string, number> = {
        ArrowLeft: from - 1,
        ArrowRight: from + 1,
        PageUp: from + 10,
        PageDown: from - 10,
        Home: 0,
        End: last,
      };
      const target = targets[event.key];
      if (event.key === 'Escape') this.#plot.setCursor({ left: -10, top: -10 });
      else if (target !== undefined && last >= 0) this.#moveTo(Math.min(last, Math.max(0, target)));
      else return;
      event.preventDefault();
      this.#describe();
    });
  }

  #moveTo(index: number): void {
    const left = this.#plot.valToPos(this.#points[index]!.at / 1000, 'x');
    this.#plot.setCursor({ left: Math.max(0, left), top: 1 });
  }
}

function seriesOf({ label, tone, isDashed }: LineSpec, isBar: boolean): uPlot.Series {
  const stroke = (): string => colour(`--${tone}`);
  if (isBar) {
    const paths = uPlot.paths.bars!({ size: [0.72, 14], radius: 0.1 });
    return { label, stroke, fill: stroke, width: 0, paths, points: { show: false } };
  }
  const look = { label, stroke, points: { show: false }, width: 1.75 };
  if (isDashed === true) return { ...look, dash: [6, 4] };
  return { ...look, fill: (plot) => fadeOf(plot, stroke()) };
}

/** The colour, fading out to the axis. */
function fadeOf({ ctx, bbox }: uPlot, tone: string): CanvasGradient | string {
  if (bbox.height === 0) return 'transparent';
  const fade = ctx.createLinearGradient(0, bbox.top, 0, bbox.top + bbox.height);
  fade.addColorStop(0, `${tone}38`);
  fade.addColorStop(1, `${tone}05`);
  return fade;
}

function axisLook(): uPlot.Axis {
  return {
    stroke: () => colour('--muted'),
    font: '11px system-ui, "Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif',
    ticks: { show: false },
    gap: 6,
  };
}

/** Empty if it would be cut off at the end of the axis. */
function timeLabel(plot: uPlot, time: number): string {
  const space = plot.width - plot.valToPos(time, 'x') - plot.bbox.left / devicePixelRatio;
  return space < HALF_TIME_PX ? '' : clockText(time * 1000);
}

function widest({ ctx }: uPlot, texts: readonly string[] | null): number {
  const widths = (texts ?? []).map((text) => ctx.measureText(text).width / devicePixelRatio);
  return Math.ceil(Math.max(0, ...widths));
}

/** The next of 1, 2, 2.5, 5, 10 times a power of ten, so that the axis seldom changes. */
function roundUp(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].find((each) => each * power >= value) ?? 10;
  return step * power;
}

function sum(a: number | null, b: number | null): number | null {
  return a === null && b === null ? null : (a ?? 0) + (b ?? 0);
}

function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
