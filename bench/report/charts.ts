import * as echarts from 'echarts';
import { median, type Figure } from '../setup/figures.js';

const WIDTH = 860;
const FONT = 'system-ui, sans-serif';
const COLORS = ['#0f766e', '#94a3b8', '#d97706', '#7c3aed', '#be123c', '#2563eb'];
const OURS = '#0f766e';
const OTHERS = '#94a3b8';

/** A plot as SVG text, drawn without a browser. @param height of the picture in pixels */
function draw(option: echarts.EChartsOption, height: number): string {
  const size = { renderer: 'svg', ssr: true, width: WIDTH, height } as const;
  const chart = echarts.init(null, null, size);
  chart.setOption({ animation: false, textStyle: { fontFamily: FONT }, color: COLORS, ...option });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

const thousands = (value: number): string => Math.round(value).toLocaleString('en-US');

/** Contenders below each other, the longest bar on top. */
export function drawBars(title: string, figures: readonly Figure[]): string {
  const sorted = [...figures].sort((a, b) => median(a.values) - median(b.values));
  const { unit } = sorted[0]!;
  return draw(
    {
      title: { text: title, textStyle: { fontSize: 15 } },
      grid: { left: 8, right: 90, top: 44, bottom: 8, containLabel: true },
      xAxis: { type: 'value', name: unit, axisLabel: { formatter: thousands } },
      yAxis: { type: 'category', data: sorted.map(nameOf), axisTick: { show: false } },
      series: [
        {
          type: 'bar',
          barMaxWidth: 22,
          data: sorted.map((figure) => ({
            value: median(figure.values),
            itemStyle: { color: figure.contender.startsWith('ledger') ? OURS : OTHERS },
          })),
          label: {
            show: true,
            position: 'right',
            formatter: ({ value }: { value?: unknown }) => short(Number(value)),
          },
        },
      ],
    },
    Math.max(140, 70 + sorted.length * 30),
  );
}

function nameOf({ setting, contender }: Figure): string {
  return setting === '' ? contender : `${contender}, ${setting}`;
}

function short(value: number): string {
  return value >= 100 ? thousands(value) : value.toPrecision(3);
}

/** One line a contender over a numeric setting, with the range of its rounds. */
export function drawLines(title: string, figures: readonly Figure[]): string {
  const settings = [...new Set(figures.map(({ setting }) => Number(setting)))];
  settings.sort((a, b) => a - b);
  const contenders = [...new Set(figures.map(({ contender }) => contender))];
  const at = (contender: string, setting: number): Figure | undefined =>
    figures.find((each) => each.contender === contender && each.setting === setting);
  return draw(
    {
      title: { text: title, textStyle: { fontSize: 15 } },
      legend: { top: 26, left: 0 },
      grid: { left: 8, right: 24, top: 70, bottom: 8, containLabel: true },
      xAxis: { type: 'category', data: settings.map(thousands) },
      yAxis: { type: 'value', name: figures[0]!.unit, axisLabel: { formatter: short } },
      series: contenders.map((contender) => ({
        name: contender,
        type: 'line',
        symbolSize: 7,
        data: settings.map((setting) => {
          const figure = at(contender, setting);
          return figure === undefined ? null : median(figure.values);
        }),
      })),
    },
    320,
  );
}

/** The plot that suits the figures: lines over numbers, bars over names. */
export function drawMetric(title: string, figures: readonly Figure[]): string {
  const isNumeric = figures.every(({ setting }) => typeof setting === 'number');
  const settings = new Set(figures.map(({ setting }) => setting));
  return isNumeric && settings.size > 1 ? drawLines(title, figures) : drawBars(title, figures);
}
