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
  it('settles after its grace period', async () => {
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
      'prefers a signal to the lost connections that it caused',
      [
        [failure(0, 'PEER_LOST_BY_OTHERS'), evidence.lostConnection],
        [failure(2, 'PEER_LOST'), evidence.reportedError],
        [failure(1, 'KILLED'), evidence.signal],
      ],
      'KILLED',
    ],
    [
      'prefers an error to the exit code that follows',
      [
        [failure(1, 'EXITED'), evidence.exitCode],
        [failure(1, 'LOSS_NOT_FINITE'), evidence.reportedError],
      ],
      'LOSS_NOT_FINITE',
    ],
    [
      'prefers the first of equal pieces of evidence',
      [
        [failure(1, 'LOSS_NOT_FINITE'), evidence.reportedError],
        [failure(2, 'GRADIENT_NOT_FINITE'), evidence.reportedError],
      ],
      'LOSS_NOT_FINITE',
    ],
    [
      'prefers a lost connection to a time-out in a collective',
      [
        [failure(0, 'COLLECTIVE_TIMEOUT'), evidence.reportedError],
        [failure(1, 'PEER_LOST_BY_OTHERS'), evidence.lostConnection],
      ],
      'PEER_LOST_BY_OTHERS',
    ],
    [
      'prefers a stop from outside to everything else',
      [
        [failure(1, 'KILLED'), evidence.signal],
        [{ code: 'STOPPED', cause: 'SIGINT', user: false }, evidence.stopped],
      ],
      'STOPPED',
    ],
    [
      "prefers a rank's reported error to the signal that ends the rank afterwards",
      [
        [failure(1, 'FILE_UNUSABLE'), evidence.reportedError],
        [failure(1, 'KILLED'), evidence.signal],
      ],
      'FILE_UNUSABLE',
    ],
    [
      "prefers a rank's report of a lost peer to the exit code of the rank",
      [
        [failure(1, 'EXITED'), evidence.exitCode],
        [failure(1, 'PEER_LOST'), evidence.reportedError],
      ],
      'PEER_LOST',
    ],
    [
      'prefers the signal that ends one rank to the error of another',
      [
        [failure(0, 'COLLECTIVE_FAILED'), evidence.reportedError],
        [failure(1, 'KILLED'), evidence.signal],
      ],
      'KILLED',
    ],
    [
      'settles for a consequence if there is no other evidence',
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
