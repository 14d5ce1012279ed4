import { describe, expect, it } from 'vitest';
import { randomStream } from '../../src/util/random.js';
import { ClockOffset } from '../../src/trace/clock-offset.js';

/** A sample sent at `sent` to a clock that is ahead by `ahead`, with a delay each way. */
function sample(sent: number, ahead: number, there: number, back: number) {
  return { sent, answered: sent + there + ahead, received: sent + there + back };
}

describe('ClockOffset', () => {
  it('is undefined without a sample', () => {
    expect(new ClockOffset().at(0)).toBeUndefined();
  });

  it('errs by at most its stated error for any delays', () => {
    const random = randomStream(1);
    const below = (limit: number) => (random.bits() >>> 0) % limit;
    const delay = () => 50 + below(5000);
    for (let trial = 0; trial < 200; trial++) {
      const clock = new ClockOffset();
      const ahead = 5e6 - below(1e7);
      for (let question = 0; question < 8; question++)
        clock.add(sample(question * 1000, ahead, delay(), delay()));
      const { offset, error } = clock.at(8000) as { offset: number; error: number };
      expect(Math.abs(offset - ahead)).toBeLessThanOrEqual(error);
    }
  });

  it('uses the sample with the smallest delay', () => {
    const clock = new ClockOffset();
    clock.add(sample(0, 1e6, 100, 3000));
    clock.add(sample(1e4, 1e6, 40, 60));
    clock.add(sample(2e4, 1e6, 2000, 100));
    expect(clock.at(2e4)?.offset).toBe(1e6 - 10);
    expect(clock.at(1e4 + 100)?.error).toBe(50);
  });

  it('gives old samples a growing error, because clocks drift', () => {
    const clock = new ClockOffset();
    clock.add(sample(0, 1e6, 50, 50));
    expect(clock.at(100 + 60e6)?.error).toBeCloseTo(50 + 3000, 6);
    clock.add(sample(60e6, 1e6 + 2000, 500, 500));
    expect(clock.at(60e6 + 1000)?.offset).toBe(1e6 + 2000);
  });

  it('treats two clocks as equal if the samples allow it', () => {
    const clock = new ClockOffset();
    clock.add(sample(0, 0, 30, 200));
    expect(clock.at(1e9)).toEqual({ offset: 0, error: 0 });
  });
});
