import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { runAgent } from '../../../src/launching/agent/run-agent.js';
import { writeJobPlan } from '../../../src/record/job-plan.js';
import { JobStateFile } from '../../../src/record/job-state.js';

const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('a process that takes over a job leaves alone what another job has written since', async () => {
  mkdirSync(join(folder, 'logs'));
  const about = { name: 'digits', epochs: 1, images: 10, stepsPerEpoch: 1, workerArgs: [] };
  writeJobPlan(folder, { ...about, kept: false, graceSeconds: 30, made: false });
  const state = new JobStateFile(folder);
  for (const secret of ['of another job', undefined]) {
    state.update({ secret });
    const before = readFileSync(state.file, 'utf8');
    await runAgent({ folder, token: 'of its own', lostAt: Date.now() });
    expect(readFileSync(state.file, 'utf8')).toBe(before);
    expect(readdirSync(folder).sort()).toEqual(['job', 'logs']);
  }
});
