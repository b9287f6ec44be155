import type { DashboardNow } from '../src/dashboard/dashboard-frame.interface.js';
import { byId, make, setData, setText } from './elements.js';
import { grouped } from './format.js';
import type { Tone } from './live-chart.js';

interface Term {
  readonly label: string;
  readonly tone: Tone;
  readonly read: (now: DashboardNow) => number;
}

interface Law {
  readonly total: Term;
  readonly terms: readonly Term[];
}

const LAWS: readonly Law[] = [
  {
    total: { label: 'offered', tone: 'muted', read: (now) => now.offered },
    terms: [
      { label: 'queued', tone: 'in', read: (now) => now.queued },
      { label: 'dropped', tone: 'bad', read: (now) => now.dropped },
      { label: 'sealed', tone: 'muted', read: (now) => now.sealed },
      { label: 'invalid', tone: 'warn', read: (now) => now.invalid },
      { label: 'waiting', tone: 'violet', read: (now) => now.waiting },
    ],
  },
  {
    total: { label: 'queued', tone: 'in', read: (now) => now.queued },
    terms: [
      { label: 'written', tone: 'out', read: (now) => now.written },
      { label: 'duplicate', tone: 'muted', read: (now) => now.duplicate },
      { label: 'dead-lettered', tone: 'bad', read: (now) => now.deadLettered },
      { label: 'spilled', tone: 'warn', read: (now) => now.spilled },
      { label: 'in the channel', tone: 'violet', read: (now) => now.depth },
      { label: 'in flight', tone: 'in', read: (now) => now.inFlight },
    ],
  },
];

/** Builds both sums. @returns a function that fills them */
export function showConservationLaw(): (now: DashboardNow) => void {
  const sums = LAWS.map((law) => new Sum(law));
  byId('law').append(...sums.map(({ element }) => element));
  return (now) => sums.forEach((sum) => sum.update(now));
}

/** One equation, with a bar of the shares below it. */
class Sum {
  readonly element: HTMLElement;
  readonly #law: Law;
  readonly #boxes: readonly HTMLElement[];
  readonly #shares: readonly HTMLElement[];
  readonly #check = make('span', { class: 'check' });

  constructor(law: Law) {
    this.#law = law;
    this.#boxes = [law.total, ...law.terms].map(({ label, tone }, index) =>
      make(
        'div',
        { class: `term tone-${tone}${index === 0 ? ' total' : ''}` },
        make('b', { text: '–' }),
        make('span', { text: label }),
      ),
    );
    this.#shares = law.terms.map(({ tone }) => make('span', { class: `tone-${tone}` }));
    const bar = make('div', { class: 'shares' }, ...this.#shares);
    bar.setAttribute('aria-hidden', 'true');
    const parts = this.#boxes.flatMap((box, index) => {
      const sign = index === 0 ? '' : index === 1 ? '=' : '+';
      return sign === '' ? [box] : [make('span', { class: 'operator', text: sign }), box];
    });
    this.element = make('div', { class: 'sum' }, ...parts, this.#check, bar);
  }

  update(now: DashboardNow): void {
    const values = this.#law.terms.map(({ read }) => read(now));
    const total = this.#law.total.read(now);
    [total, ...values].forEach((value, index) => {
      const box = this.#boxes[index]!;
      setText(box.firstElementChild!, grouped(value));
      box.classList.toggle('zero', value === 0);
    });
    const isTrue = values.reduce((sum, value) => sum + value, 0) === total;
    setText(this.#check, isTrue ? '✓ adds up' : '✗ does not add up');
    setData(this.#check, 'level', isTrue ? 'up' : 'down');
    this.#shares.forEach((share, index) => {
      const part = total === 0 ? 0 : values[index]! / total;
      // What is there at all stays visible, however small its share is.
      share.style.flexGrow = String(part === 0 ? 0 : Math.max(0.004, part));
    });
  }
}
