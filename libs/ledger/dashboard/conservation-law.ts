import type { DashboardNow } from '../src/dashboard/dashboard-frame.interface.js';
import { byId, make, setData, setText } from './elements.js';
import { grouped } from './format.js';
import type { Tone } from './live-chart.js';

interface Term {
  readonly label: string;
  readonly tone: Tone;
  readonly read: (now: DashboardNow) => number;
  /** Left out without a journal. */
  readonly isOfJournal?: true;
  /** Left out until a gateway or a writer of a stream has some. */
  readonly isOfStream?: true;
}

interface Law {
  /** Incoming entries: their sum equals that of the terms. */
  readonly totals: readonly Term[];
  readonly terms: readonly Term[];
}

const LAWS: readonly Law[] = [
  {
    totals: [{ label: 'offered', tone: 'muted', read: (now) => now.offered }],
    terms: [
      { label: 'queued', tone: 'in', read: (now) => now.queued },
      { label: 'dropped', tone: 'bad', read: (now) => now.dropped },
      { label: 'sealed', tone: 'muted', read: (now) => now.sealed },
      { label: 'invalid', tone: 'warn', read: (now) => now.invalid },
      { label: 'waiting', tone: 'violet', read: (now) => now.waiting },
    ],
  },
  {
    totals: [
      { label: 'queued', tone: 'in', read: (now) => now.queued },
      { label: 'recovered', tone: 'muted', read: (now) => now.recovered, isOfJournal: true },
      { label: 'received', tone: 'in', read: (now) => now.received, isOfStream: true },
    ],
    terms: [
      { label: 'written', tone: 'out', read: (now) => now.written },
      { label: 'published', tone: 'out', read: (now) => now.published, isOfStream: true },
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
  readonly #boxes: readonly TermBox[];
  readonly #shares: readonly HTMLElement[];
  readonly #check = make('span', { class: 'check' });

  constructor(law: Law) {
    this.#law = law;
    this.#boxes = [
      ...law.totals.map((term, index) => new TermBox(term, index === 0 ? '' : '+', ' total')),
      ...law.terms.map((term, index) => new TermBox(term, index === 0 ? '=' : '+', '')),
    ];
    this.#shares = law.terms.map(({ tone }) => make('span', { class: `tone-${tone}` }));
    const bar = make('div', { class: 'shares' }, ...this.#shares);
    bar.setAttribute('aria-hidden', 'true');
    const parts = this.#boxes.flatMap(({ elements }) => elements);
    this.element = make('div', { class: 'sum' }, ...parts, this.#check, bar);
  }

  update(now: DashboardNow): void {
    for (const box of this.#boxes) box.update(now);
    const values = this.#law.terms.map(({ read }) => read(now));
    const total = sumOf(this.#law.totals.map(({ read }) => read(now)));
    const isTrue = sumOf(values) === total;
    setText(this.#check, isTrue ? '✓ adds up' : '✗ does not add up');
    setData(this.#check, 'level', isTrue ? 'up' : 'down');
    this.#shares.forEach((share, index) => {
      const part = total === 0 ? 0 : values[index]! / total;
      // Any share above zero stays visible.
      share.style.flexGrow = String(part === 0 ? 0 : Math.max(0.004, part));
    });
  }
}

/** A figure with its name, and the sign before it. */
class TermBox {
  readonly elements: readonly HTMLElement[];
  readonly #term: Term;
  readonly #figure = make('b', { text: '–' });
  readonly #box: HTMLElement;

  constructor(term: Term, sign: '' | '=' | '+', role: string) {
    this.#term = term;
    const { tone, label } = term;
    const name = make('span', { text: label });
    this.#box = make('div', { class: `term tone-${tone}${role}` }, this.#figure, name);
    const signs = sign === '' ? [] : [make('span', { class: 'operator', text: sign })];
    this.elements = [...signs, this.#box];
  }

  update(now: DashboardNow): void {
    const value = this.#term.read(now);
    setText(this.#figure, grouped(value));
    this.#box.classList.toggle('zero', value === 0);
    const isHidden =
      (this.#term.isOfJournal === true && now.journal === null) ||
      (this.#term.isOfStream === true && value === 0);
    for (const element of this.elements) element.hidden = isHidden;
  }
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
