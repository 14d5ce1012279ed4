import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Follower } from '../../src/logging/follower.js';
import type { SinkKind } from '../../src/logging/sink.js';
import { sinks } from '../../src/logging/sinks.js';
import { epochSteps, RecordedRun } from './runs.js';
import { subjects, type Subject } from './subjects.js';

const upTo = (steps: number) => Array.from({ length: steps }, (_, step) => step);

describe.each(Object.keys(subjects) as (keyof typeof subjects)[])('the sink %s', (name) => {
  let recorded: RecordedRun;
  let subject: Subject;
  let forgets: boolean;
  const said: string[] = [];
  const starts: number[] = [];
  const follower = async () => {
    const kind: SinkKind = await sinks[name]();
    forgets = kind.forgets ?? false;
    const open: SinkKind['open'] = (run, start) => {
      starts.push(start.step);
      return kind.open(run, start);
    };
    return new Follower(name, { ...kind, open }, recorded.run, (line) => {
      if (!subject.hear?.(line)) said.push(line);
    });
  };
  const closeWithinMs = 5000;
  beforeEach(async () => {
    recorded = new RecordedRun();
    subject = subjects[name]();
    said.length = 0;
    starts.length = 0;
    await subject.begin?.();
  });
  afterEach(async () => {
    await subject.end?.();
    recorded.remove();
  });

  it('shows a run while it runs and after its end, completely and without repetition', async () => {
    recorded.steps(0, 5);
    const first = await follower();
    await first.open();
    await first.follow();
    expect(await subject.steps(recorded.folder)).toEqual(upTo(5));
    recorded
      .steps(5, epochSteps)
      .epoch(0)
      .incident()
      .steps(epochSteps, 2 * epochSteps)
      .epoch(1)
      .finish();
    await first.follow();
    expect(await subject.steps(recorded.folder)).toEqual(upTo(2 * epochSteps));
    expect(await subject.names(recorded.folder)).toEqual(expect.arrayContaining([...subject.expected]));
    await Promise.all([first.close(undefined, closeWithinMs), subject.names(recorded.folder)]);
    expect(said).toEqual([]);
  });

  it('shows each step once after its process was lost, and after steps are repeated', async () => {
    recorded.steps(0, 5);
    const lost = await follower();
    await lost.open();
    await lost.follow();
    recorded.steps(5, 7);
    const second = await follower();
    await second.open();
    await second.follow();
    recorded.resume({ epochs: 0, steps: 4 });
    const third = await follower();
    await third.open();
    recorded.steps(4, 9);
    await third.follow();
    expect(await subject.steps(recorded.folder)).toEqual(upTo(9));
    const ended = { code: 'STOPPED', message: 'stopped', kind: 'stopped' } as const;
    await Promise.all([third.close(ended, closeWithinMs), subject.names(recorded.folder)]);
    expect(starts).toEqual(forgets ? [0, 0, 0] : [0, 5, 4]);
    expect(said).toEqual([]);
  });
});
