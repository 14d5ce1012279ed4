import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { findSuccessor } from '../../../src/job/member/succession.js';
import { JobStateFile } from '../../../src/record/job-state.js';
import { runningClock } from '../../../src/util/running-clock.js';

const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('a worker does not take a run folder from another job', async () => {
  new JobStateFile(folder).update({ secret: 'of another job' });
  const about = { folder, token: 'of its own', term: 0, addresses: [], order: 0, silent: true };
  // Its search would be over by itself a second later.
  const since = runningClock.now() - 59_000;
  await expect(
    findSuccessor({ ...about, since, signal: new AbortController().signal }),
  ).rejects.toMatchObject({
    code: 'COORDINATOR_LOST',
    message: expect.stringContaining("another job's now") as string,
  });
});
