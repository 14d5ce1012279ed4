import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.js';
import { OwnCoordinator } from '../../src/job/join/own-coordinator.js';
import type { ErrorCode } from '../../src/util/error-codes.js';
import { PodDistError, PreemptedError, UserError } from '../../src/util/errors.js';
import { freePort } from '../integration/free-port.js';
import { Client, secret } from './clients.js';

type Kind = typeof PodDistError | typeof PreemptedError | typeof UserError;

describe('OwnCoordinator', () => {
  const ends: [code: ErrorCode, user: boolean, kind: Kind, message: string | RegExp][] = [
    ['PREEMPTED', false, PreemptedError, 'the words of rank 1'],
    ['CHECKPOINT_MISSED', false, PreemptedError, 'the words of rank 1'],
    ['DATA_INVALID', true, UserError, 'the words of rank 1'],
    ['STOPPED', false, PodDistError, /^rank 1 on host here: the words of rank 1$/],
    ['OUT_OF_MEMORY', false, PodDistError, /^rank 1 on host here: error OUT_OF_MEMORY: the words of rank 1$/],
  ];

  it.each(ends)('ends all ranks with the error of rank 1: %s', async (code, user, kind, message) => {
    const outDir = mkdtempSync(join(tmpdir(), 'pod-dist-own-'));
    const port = await freePort();
    const own = await OwnCoordinator.start({
      ...{ listenOn: '127.0.0.1', port, worldSize: 2, token: secret, outDir },
      config: loadConfig({ file: 'digits' }),
    });
    const members = [0, 1].map((rank) => new Client(rank, { port }));
    try {
      for (const member of members) member.hello();
      await Promise.all(members.map((member) => member.next('plan')));
      members[1].say({ type: 'failed', code, message: 'the words of rank 1', user });
      const error = await own.failure();
      expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
      expect(error?.constructor).toBe(kind);
      const { ended } = await members[0].next('abort');
      expect(ended).toEqual(kind === PreemptedError ? { code, message } : undefined);
    } finally {
      for (const member of members) member.close();
      await own.stop();
      rmSync(outDir, { recursive: true });
    }
  });
});
