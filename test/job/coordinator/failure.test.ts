import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../../src/util/error-codes.js';
import { evidence, RootCause, type JobFailure } from '../../../src/job/coordinator/failure.js';

const failure = (rank: number, code: ErrorCode): JobFailure => ({
  rank,
  code,
  cause: `${code} of ${rank}`,
  user: false,
});

describe('RootCause', () => {
  it('settles after its grace, not before', async () => {
    const cause = new RootCause(80);
    expect(cause.found).toBe(false);
    const started = performance.now();
    cause.add(failure(1, 'KILLED'), evidence.signal);
    expect(cause.found).toBe(true);
    await expect(cause.settled).resolves.toMatchObject({ rank: 1, code: 'KILLED' });
    expect(performance.now() - started).toBeGreaterThan(70);
  });

  const orders: [what: string, pieces: [JobFailure, number][], root: string][] = [
    [
      'a signal explains the connections that it cut',
      [
        [failure(0, 'PEER_LOST_BY_OTHERS'), evidence.lostConnection],
        [failure(2, 'PEER_LOST'), evidence.reportedError],
        [failure(1, 'KILLED'), evidence.signal],
      ],
      'KILLED',
    ],
    [
      'an error explains the exit code that follows',
      [
        [failure(1, 'EXITED'), evidence.exitCode],
        [failure(1, 'LOSS_NOT_FINITE'), evidence.reportedError],
      ],
      'LOSS_NOT_FINITE',
    ],
    [
      'the first of equals stands',
      [
        [failure(1, 'LOSS_NOT_FINITE'), evidence.reportedError],
        [failure(2, 'GRADIENT_NOT_FINITE'), evidence.reportedError],
      ],
      'LOSS_NOT_FINITE',
    ],
    [
      'a time-out in a collective explains less than a lost connection',
      [
        [failure(0, 'COLLECTIVE_TIMEOUT'), evidence.reportedError],
        [failure(1, 'PEER_LOST_BY_OTHERS'), evidence.lostConnection],
      ],
      'PEER_LOST_BY_OTHERS',
    ],
    [
      'being stopped from outside explains everything',
      [
        [failure(1, 'KILLED'), evidence.signal],
        [{ code: 'STOPPED', cause: 'SIGINT', user: false }, evidence.stopped],
      ],
      'STOPPED',
    ],
    [
      'an error that a rank has told of explains the signal that ends it afterwards',
      [
        [failure(1, 'FILE_UNUSABLE'), evidence.reportedError],
        [failure(1, 'KILLED'), evidence.signal],
      ],
      'FILE_UNUSABLE',
    ],
    [
      'a lost peer that a rank has told of explains its exit code',
      [
        [failure(1, 'EXITED'), evidence.exitCode],
        [failure(1, 'PEER_LOST'), evidence.reportedError],
      ],
      'PEER_LOST',
    ],
    [
      'the error of one rank does not explain the signal that ends another',
      [
        [failure(0, 'COLLECTIVE_FAILED'), evidence.reportedError],
        [failure(1, 'KILLED'), evidence.signal],
      ],
      'KILLED',
    ],
    [
      'a consequence is better than nothing',
      [[failure(0, 'COORDINATOR_LOST'), evidence.reportedError]],
      'COORDINATOR_LOST',
    ],
  ];

  it.each(orders)('%s', async (_what, pieces, root) => {
    const cause = new RootCause(5);
    for (const [piece, weight] of pieces) cause.add(piece, weight);
    expect((await cause.settled).code).toBe(root);
  });
});
