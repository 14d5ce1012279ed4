import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { train } from '../../src/index.js';
import { Workplace } from './command.js';
import { freePort } from './free-port.js';
import { needs } from '../needs.js';

let place: Workplace;
beforeEach(() => void (place = new Workplace()));
afterEach(() => place.clear());

describe('checkpoints at an interval in minutes', () => {
  afterEach(() => void vi.restoreAllMocks());

  it('are written after the first step past the interval', async () => {
    const now = performance.now.bind(performance);
    let ahead = 0;
    vi.spyOn(performance, 'now').mockImplementation(() => now() + ahead);
    const learningRate = { schedule: 'constant', rate: 0.1 } as const;
    const checkpoint = { every: '1 min', keep: 0 };
    await train(
      {
        epochs: 2,
        backend: 'wasm',
        learningRate,
        checkpoint,
        data: { name: 'digits' },
        model: { name: 'small-cnn' },
      },
      { outDir: place.path('run'), onStep: () => void (ahead += 25_000) },
    );
    const steps = place.checkpoints('run').filter((name) => name.startsWith('step-'));
    const made = [0, ...steps.map((name) => Number(name.slice(5)))];
    expect(steps.length).toBeGreaterThan(1);
    for (const [index, step] of made.slice(1).entries()) expect(step - made[index]).toBeGreaterThanOrEqual(3);
  });
});

describe(
  'a worker without access to the run folder',
  needs('root, to hide it', process.getuid?.() === 0),
  () => {
    it('sends its shard of a checkpoint to rank 0, with equal bits', async () => {
      await place.train(2, ['epochs=1'], { out: 'seen' });
      mkdirSync(place.path('run'));
      const hidden = [
        'unshare',
        '--mount',
        'sh',
        '-c',
        'mount -t tmpfs none "$0" && exec "$@"',
        place.path('run'),
      ];
      const port = String(await freePort());
      const tasks = [0, 1].map((rank) =>
        place.start(
          ['worker', '--backend', 'wasm', '--epochs', '1', '--out', 'run'],
          {
            RANK: String(rank),
            WORLD_SIZE: '2',
            LOCAL_RANK: String(rank),
            MASTER_ADDR: '127.0.0.1',
            MASTER_PORT: port,
          },
          rank === 1 ? hidden : [],
        ),
      );
      for (const { ended } of tasks) expect(await ended, (await ended).stderr).toMatchObject({ code: 0 });
      const digests = (run: string) =>
        ['shard-0.bin', 'shard-1.bin', 'moving.bin'].map((file) =>
          createHash('sha256')
            .update(readFileSync(place.path(run, 'checkpoints/epoch-0001', file)))
            .digest('hex'),
        );
      expect(digests('run')).toEqual(digests('seen'));
    });
  },
);
