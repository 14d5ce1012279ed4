import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { withErrorLog } from '../../../src/job/launch/error-log.js';
import { PodDistError, UserError } from '../../../src/util/errors.js';

let folder: string;
let log: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  log = join(folder, 'logs', 'rank-0.log');
});
afterEach(() => rmSync(folder, { recursive: true }));

describe('withErrorLog', () => {
  it('returns the result and writes no file', async () => {
    await expect(withErrorLog(Promise.resolve(7), log)).resolves.toBe(7);
    expect(existsSync(log)).toBe(false);
  });

  it("rethrows a user's mistake unchanged", async () => {
    const mistake = new UserError('IMAGE_INVALID', 'x.jpg is no image');
    await expect(withErrorLog(Promise.reject(mistake), log)).rejects.toBe(mistake);
    expect(existsSync(log)).toBe(false);
  });

  it.each([
    [new PodDistError('LOSS_NOT_FINITE', 'the loss is NaN'), 'LOSS_NOT_FINITE', 'the loss is NaN'],
    [new Error('two\n  lines'), 'UNEXPECTED', 'two lines'],
    ['just text', 'UNEXPECTED', 'just text'],
  ])(
    'logs the stack of %s and rejects with rank, host, cause and log in one line',
    async (error, code, message) => {
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
      await expect(withErrorLog(Promise.reject(error), log)).rejects.toMatchObject({
        name: 'PodDistError',
        code,
        message: `rank 0 on host ${hostname()}: error ${code}: ${message}; log: ${log}`,
      });
      expect(readFileSync(log, 'utf8')).toContain(error instanceof Error ? error.stack : error);
    },
  );
});
