import { fork } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { Coordinator } from '../../src/job/coordinator/coordinator.js';

describe('a late rank', () => {
  it.each([
    ['awaited', false, 'more gradients'],
    ['blocking', true, 'bn2'],
  ])('is reported with its phase while the others wait in %s calls', async (_face, blocking, tag) => {
    const notices: string[] = [];
    const coordinator = await Coordinator.start({
      host: '127.0.0.1',
      port: 0,
      worldSize: 3,
      token: 'secret',
      transport: 'ipc',
      joinTimeoutMs: 20_000,
      stallTimeoutMs: 20_000,
      stallWarningMs: 1000,
      onNotice: (line) => notices.push(line),
      combine: (_name, parts) => parts,
    });
    const address = `tcp://127.0.0.1:${coordinator.port}`;
    const children = [0, 1, 2].map((rank) =>
      fork(new URL('../../dist/test/job/fixtures/late-rank.js', import.meta.url), {
        env: { ...process.env, OPTIONS: JSON.stringify({ rank, worldSize: 3, address, blocking }) },
      }),
    );
    try {
      await coordinator.finished;
      expect(notices).toHaveLength(1);
      expect(notices[0]).toMatch(
        new RegExp(
          `^rank 1 on host \\S+ is late \\(look for its glasses of epoch 3\\): (?:rank 0, 2 have|rank [02] has) waited \\d+\\.\\d s for it in allReduce '${tag}'$`,
        ),
      );
    } finally {
      await Promise.all(children.map(async (child) => child.exitCode ?? once(child, 'exit')));
      await coordinator.stop();
    }
  });
});
