import { of, type Observable } from 'rxjs';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { defineLedger } from '../define-ledger.js';
import { RecordUsage } from './record-usage.decorator.js';
import type { UsageCall, UsageDraft } from './usage-call.interface.js';

const usage = defineLedger({ name: 'usage', ids: 'text', columns: { model: 'text' } });

interface Answer {
  tokens: number;
}

describe('RecordUsage, as its types promise', () => {
  it('types the result and the entry of the default ledger', () => {
    RecordUsage<Answer>(({ result, end, error }) => {
      expectTypeOf(result).toEqualTypeOf<Answer | undefined>();
      expectTypeOf(end).toEqualTypeOf<'completed' | 'failed' | 'aborted'>();
      expectTypeOf(error).toBeUnknown();
      return { userId: 7n, completionTokens: result?.tokens };
    });
    RecordUsage(() => null);
    RecordUsage(() => [{ userId: 1 }, { userId: '2', createdAt: new Date(), idempotencyKey: 'k' }]);
    // @ts-expect-error an entry has a user
    RecordUsage(() => ({ completionTokens: 1 }));
    // @ts-expect-error a mapper is synchronous
    const asynchronous = RecordUsage(async () => ({ userId: 1 }));
    expect(asynchronous).toBeTypeOf('function');
  });

  it('types the entry by a ledger given as option', () => {
    RecordUsage((call: UsageCall<Answer>) => ({ userId: 'u', model: `${call.result?.tokens}` }), {
      ledger: usage,
    });
    RecordUsage<Answer, typeof usage>(
      ({ usage: draft }) => {
        expectTypeOf(draft.model).toEqualTypeOf<string | null | undefined>();
        return { ...draft, userId: 'u' };
      },
      { ledger: usage, guarantee: 'commit' },
    );
    // @ts-expect-error ids of this ledger are texts
    RecordUsage(() => ({ userId: 1 }), { ledger: usage });
    // @ts-expect-error the column is a text
    const wrong = RecordUsage(() => ({ userId: 'u', model: 1 }), { ledger: usage });
    expect(wrong).toBeTypeOf('function');
  });

  it('takes a result type alone with a ledger, and then checks the own fields', () => {
    RecordUsage<Answer>(({ result }) => ({ userId: 'u', model: `${result?.tokens}` }), {
      ledger: usage,
    });
    // @ts-expect-error an entry has a user
    const anonymous = RecordUsage<Answer>(() => ({ model: 'm' }), { ledger: usage });
    expect(anonymous).toBeTypeOf('function');
  });

  it('lets a draft be spread into the entry of its ledger', () => {
    const draft: UsageDraft<typeof usage> = { model: 'm', promptTokens: 3 };
    RecordUsage(({ usage: filled }) => ({ userId: 1, ...filled }));
    // @ts-expect-error the key is for the mapper to give, with the time it belongs to
    const keyed: UsageDraft = { idempotencyKey: 'k' };
    expect([draft, keyed]).toHaveLength(2);
  });
});

describe('RecordUsage, on methods of another result', () => {
  it('refuses to compile', () => {
    class Methods {
      @RecordUsage<Answer>(() => null)
      plain(): Answer {
        return { tokens: 1 };
      }

      @RecordUsage<Answer>(() => null)
      async promise(): Promise<Answer> {
        return { tokens: 1 };
      }

      @RecordUsage<Answer>(() => null)
      observable(): Observable<Answer> {
        return of({ tokens: 1 });
      }

      @RecordUsage<Answer>(() => null)
      async laterObservable(): Promise<Observable<Answer>> {
        return of({ tokens: 1 });
      }

      @RecordUsage<Answer>(() => null)
      async *iterable(): AsyncGenerator<Answer> {
        yield { tokens: 1 };
      }

      @RecordUsage(() => null)
      unannotated(_input: string): string[] {
        return [];
      }

      // @ts-expect-error the method's result has no tokens
      @RecordUsage<Answer>(() => null)
      otherPlain(): { token: number } {
        return { token: 1 };
      }

      // @ts-expect-error the method's result has no tokens
      @RecordUsage<Answer>(() => null)
      async otherPromise(): Promise<{ token: number }> {
        return { token: 1 };
      }

      // @ts-expect-error the method's result is a text
      @RecordUsage((_call: UsageCall<Answer>) => null)
      otherObservable(): Observable<string> {
        return of('');
      }
    }
    expect(new Methods()).toBeInstanceOf(Methods);
  });
});

describe('RecordUsage, where it stands', () => {
  const metered = RecordUsage(() => null);

  it('refuses to stand twice, since one would record nothing', () => {
    const audited = RecordUsage(() => ({ userId: 'u' }), { ledger: usage });
    expect(() => {
      class Twice {
        @metered
        @audited
        answer(): void {}
      }
      return Twice;
    }).toThrow('@RecordUsage is used twice on Twice.answer');
    expect(() => {
      @metered
      @audited
      class Both {}
      return Both;
    }).toThrow('@RecordUsage is used twice on Both');
  });

  it('refuses to stand on what is no method of an object', () => {
    expect(() => {
      class Static {
        @metered
        static answer(): void {}
      }
      return Static;
    }).toThrow('@RecordUsage on Static.answer');
  });

  it('may stand on a handler, its controller, and a class that inherits from it', () => {
    @metered
    class Base {
      @metered
      answer(): void {}

      @metered
      other(): void {}
    }
    @metered
    class Derived extends Base {
      @metered
      override answer(): void {}
    }
    expect(new Derived()).toBeInstanceOf(Base);
  });
});
