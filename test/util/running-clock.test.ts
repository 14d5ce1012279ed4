import { describe, expect, it } from 'vitest';
import { RunningClock } from '../../src/util/running-clock.js';

describe('RunningClock', () => {
  it('counts the time between two readings, but no pause', () => {
    let time = 0;
    const clock = new RunningClock(() => time);
    for (time = 400; time <= 2000; time += 400) expect(clock.now()).toBe(time);
    time = 2000 + 2400;
    expect(clock.now()).toBe(4400);
    time += 60_000;
    expect(clock.now()).toBe(4900);
    time += 100;
    expect(clock.now()).toBe(5000);
  });

  it('calls timers by its own time, which leaves pauses out', async () => {
    let skipped = 0;
    const clock = new RunningClock(() => performance.now() + skipped);
    const began = performance.now();
    const called = new Promise<number>((resolve) =>
      clock.after(300, () => resolve(performance.now() - began)),
    );
    clock.after(100, () => expect.fail('a cleared timer')).clear();
    setTimeout(() => (skipped = 3_600_000), 50);
    expect(await called).toBeGreaterThan(290);
  });
});
