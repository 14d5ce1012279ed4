import { describe, expect, it } from 'vitest';
import { errorOfEnds, type PlacedEnd } from '../../../src/launching/hosts/worker-ends.js';
import { StoppedError, UserError } from '../../../src/util/errors.js';

const end = (rank: number, code: number | null, more: Partial<PlacedEnd> = {}): PlacedEnd => ({
  ...{ rank, code, signal: null, last: '', host: `h${rank}` },
  ...more,
});
const line = (text: string) => ({ last: `pod-dist: ${text}` });

describe('errorOfEnds', () => {
  it('gives undefined if all workers succeeded', () => {
    expect(errorOfEnds([end(0, 0), end(1, 0)], false)).toBeUndefined();
  });

  it('gives line and code of the first worker that failed', () => {
    const ends = [
      end(1, null, { signal: 'SIGKILL' }),
      end(0, 1, line('rank 1 was killed')),
      end(2, 1, line('x')),
    ];
    expect(errorOfEnds(ends, false)).toMatchObject({ code: 'EXITED', message: 'rank 1 was killed' });
    const named = [end(0, 1, line('rank 1 was killed (see pod-dist explain KILLED)'))];
    expect(errorOfEnds(named, false)).toMatchObject({ code: 'KILLED', message: 'rank 1 was killed' });
    expect(errorOfEnds(ends.slice(0, 1), false)?.message).toBe('rank 1 on host h1 was ended by SIGKILL');
  });

  it("prefers a user's mistake", () => {
    const error = errorOfEnds([end(1, 1, line('the job has ended')), end(0, 2, line('unknown key'))], false);
    expect(error).toBeInstanceOf(UserError);
    expect(error?.message).toBe('unknown key');
  });

  it.each([
    [75, 'PREEMPTED'],
    [74, 'CHECKPOINT_MISSED'],
  ])('recognises an end in order by exit code %i', (code, expected) => {
    expect(errorOfEnds([end(0, code, line('goes on')), end(1, code)], false)).toMatchObject({
      code: expected,
    });
  });

  it('recognises a signal by exit code 128 + n', () => {
    const error = errorOfEnds([end(0, 130, line('stopped'))], false);
    expect(error).toBeInstanceOf(StoppedError);
    expect((error as StoppedError).by).toBe('SIGINT');
  });

  it('reports a lost host, unless the job is elastic and the other workers succeeded', () => {
    const lost = end(1, 1, { lost: true, last: 'the connection to host b has ended' });
    expect(errorOfEnds([lost, end(0, 130, line('stopped'))], false)).toMatchObject({ code: 'HOST_LOST' });
    expect(errorOfEnds([lost, end(0, 0)], true)).toBeUndefined();
    expect(errorOfEnds([lost], true)).toMatchObject({ code: 'HOST_LOST' });
  });
});
