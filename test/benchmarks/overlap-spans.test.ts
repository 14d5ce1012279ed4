import { describe, expect, it } from 'vitest';
import { splitSteps } from '../../benchmarks/overlap-spans.js';
import type { TraceSpan } from '../../src/trace/tracer.js';

/** A span with times in milliseconds. */
function span(
  thread: TraceSpan['thread'],
  name: string,
  [start, end]: readonly [number, number],
  details: TraceSpan['details'] = {},
): TraceSpan {
  return { thread, name, start: start * 1000, end: end * 1000, details };
}

const gradients = 'reduceScatter gradients/0';
const small = 'allReduce bn1/backward';
const weights = 'allGather weights/0';

describe('splitSteps', () => {
  it('counts waits as exposed while a bucket is on the wire, whatever they wait for', () => {
    const spans = [
      span('compute', 'step', [0, 100]),
      span('communication', gradients, [10, 50], { collective: 1 }),
      span('compute', 'waiting', [30, 55], { for: small, collective: 2 }),
      span('communication', small, [50, 54], { collective: 2 }),
      span('compute', 'waiting', [70, 90], { for: weights, collective: 3 }),
      span('communication', weights, [65, 90], { collective: 3 }),
    ];
    expect(splitSteps([spans])).toEqual([
      [
        {
          ...{ step: 100, compute: 55, reduceScatter: 40, allGather: 25, small: 4 },
          ...{ exposed: 40, queued: 20, late: 1 },
        },
      ],
    ]);
  });

  it('counts waits for a rank that has not begun as late', () => {
    const early = [
      span('compute', 'step', [0, 60]),
      span('communication', gradients, [10, 50], { collective: 1 }),
      span('compute', 'waiting', [20, 50], { for: gradients, collective: 1 }),
    ];
    const tardy = [
      span('compute', 'step', [0, 60]),
      span('communication', gradients, [40, 51], { collective: 1 }),
    ];
    const [[first], [second]] = splitSteps([early, tardy]);
    expect(first).toMatchObject({ compute: 30, reduceScatter: 10, exposed: 10, late: 20 });
    expect(second).toMatchObject({ compute: 60, reduceScatter: 11, exposed: 0, late: 0 });
  });

  it('counts a sum that shares the link with a bucket as queued, once the last rank has called it', () => {
    const sum = { collective: 2, stream: 1 };
    const early = [
      span('compute', 'step', [0, 100]),
      span('communication', gradients, [10, 60], { collective: 1 }),
      span('compute', 'waiting', [20, 50], { for: small, ...sum }),
      span('urgent communication', small, [20, 49], sum),
    ];
    const tardy = [
      span('compute', 'step', [0, 100]),
      span('communication', gradients, [10, 61], { collective: 1 }),
      span('compute', 'waiting', [40, 51], { for: small, ...sum }),
      span('urgent communication', small, [41, 50], sum),
    ];
    const [[first], [second]] = splitSteps([early, tardy]);
    expect(first).toMatchObject({ compute: 70, small: 8, exposed: 10, queued: 10, late: 20 });
    expect(second).toMatchObject({ compute: 89, small: 9, exposed: 11, queued: 11, late: 0 });
  });

  it('separates the steps of a rank', () => {
    const spans = [
      span('compute', 'step', [0, 10]),
      span('compute', 'step', [10, 30]),
      span('communication', weights, [12, 20], { collective: 1 }),
      span('compute', 'waiting', [15, 20], { for: weights, collective: 1 }),
    ];
    const [steps] = splitSteps([spans]);
    expect(steps.map(({ exposed }) => exposed)).toEqual([0, 5]);
    expect(steps.map(({ compute }) => compute)).toEqual([10, 15]);
  });

  it('divides a span across the end of a step between both steps', () => {
    const spans = [
      span('compute', 'step', [0, 20]),
      span('compute', 'step', [20, 50]),
      span('communication', 'update weights/0', [12, 14]),
      span('communication', weights, [14, 32], { collective: 1 }),
      span('compute', 'waiting', [25, 32], { for: weights, collective: 1 }),
    ];
    const [steps] = splitSteps([spans]);
    expect(steps).toMatchObject([
      { allGather: 6, exposed: 0, compute: 20 },
      { allGather: 12, exposed: 7, compute: 23 },
    ]);
  });
});
