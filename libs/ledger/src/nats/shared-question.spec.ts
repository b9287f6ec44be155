import { expect, it } from 'vitest';
import { SharedQuestion } from './shared-question.js';

/** A question whose answers are given by hand. */
class Asked {
  readonly answers: ((answer: string | Error) => void)[] = [];
  readonly question = new SharedQuestion<string, string>(
    (of) =>
      new Promise((resolve, reject) => {
        this.answers.push((answer) => {
          if (answer instanceof Error) reject(answer);
          else resolve(`${of}: ${answer}`);
        });
      }),
  );
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('asks once for all that ask meanwhile, and none gets an answer to an earlier question', async () => {
  const { question, answers } = new Asked();
  const first = [question.ask('a'), question.ask('a')];
  await turn();
  expect(answers).toHaveLength(1);
  const later = [question.ask('b'), question.ask('b')];
  await turn();
  expect(answers).toHaveLength(1);
  answers[0]!('one');
  expect(await Promise.all(first)).toEqual(['a: one', 'a: one']);
  await turn();
  answers[1]!('two');
  expect(await Promise.all(later)).toEqual(['b: two', 'b: two']);
  expect(answers).toHaveLength(2);
});

it('fails only for those who asked the question that failed', async () => {
  const { question, answers } = new Asked();
  const failing = question.ask('a').catch((error: unknown) => String(error));
  await turn();
  const next = question.ask('b');
  answers[0]!(new Error('away'));
  expect(await failing).toBe('Error: away');
  await turn();
  answers[1]!('two');
  expect(await next).toBe('b: two');
});
