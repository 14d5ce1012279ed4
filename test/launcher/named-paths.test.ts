import { execFileSync } from 'node:child_process';
import { cpSync, lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { saveCheckpoint } from '../../src/checkpoint/save.js';
import { configSchema } from '../../src/config/schema.js';
import { emptyTotals } from '../../src/evaluation/totals.js';
import { Workplace } from '../integration/command.js';

const place = new Workplace();
const socket = createServer();

function pipe(...path: string[]): void {
  rmSync(place.path(...path), { force: true });
  execFileSync('mkfifo', ['-m', '600', place.path(...path)]);
}

/** Copies the run, with a named pipe in place of one file. */
function runWithPipe(name: string, ...part: string[]): void {
  cpSync(place.path('run'), place.path(name), { recursive: true });
  pipe(name, ...part);
}

beforeAll(async () => {
  const config = configSchema.parse({
    data: { name: 'digits' },
    model: { name: 'small-cnn' },
    learningRate: { schedule: 'constant', rate: 0.1 },
  });
  mkdirSync(place.path('run'));
  await saveCheckpoint(place.path('run', 'checkpoints'), {
    ...{ epochs: 1, lossState: [], seed: 1, worldSize: 1, classNames: ['a', 'b'], shape: [8, 8, 1], config },
    ...{ evaluation: emptyTotals(2), slots: [{ name: 'w', shape: [3], offset: 0, size: 3 }], updates: 1 },
    ...{ weights: new Float32Array(3), state: {}, moving: new Float32Array(0) },
  });
  mkdirSync(place.path('run', 'logs'));
  writeFileSync(place.path('run', 'metrics.jsonl'), '{}\n');
  writeFileSync(place.path('run', 'config.yaml'), 'name: digits\n');
  pipe('pipe');
  pipe('pipe.mjs');
  socket.listen(place.path('socket'));
  symlinkSync('/dev/null', place.path('null.json'));
  symlinkSync('/dev/zero', place.path('zero.png'));
  runWithPipe('weights', 'checkpoints', 'epoch-0001', 'shard-0.bin');
  runWithPipe('manifest', 'checkpoints', 'epoch-0001', 'checkpoint.json');
  runWithPipe('log', 'logs', 'rank-0.log');
  runWithPipe('lock', 'lock-0123456789abcdef.json');
  cpSync(place.path('run'), place.path('linked'), { recursive: true });
  writeFileSync(place.path('precious'), 'kept');
  rmSync(place.path('linked', 'checkpoints', 'epoch-0001', 'evaluation.json'));
  symlinkSync('../../../precious', place.path('linked', 'checkpoints', 'epoch-0001', 'evaluation.json'));
  symlinkSync('../precious', place.path('run', 'report.html'));
  mkdirSync(place.path('cifar'));
  for (const name of ['batches.meta.txt', 'test_batch.bin']) pipe('cifar', name);
  mkdirSync(place.path('cache'));
  for (const ending of ['json', 'pixels']) pipe('cache', `${'0'.repeat(32)}.${ending}`);
});
afterAll(() => {
  socket.close();
  return place.clear();
});

describe('a pipe, socket, device or link in place of a file', () => {
  const isPipe = /it is a named pipe, not a file/;
  const isDevice = /it is a device, not a file/;
  const module = ['--set', 'model={name: module, path: pipe.mjs, dim: 8}'];
  const task = { RANK: '0', WORLD_SIZE: '2', MASTER_ADDR: '127.0.0.1', MASTER_PORT: '29500' };
  const commands: [args: string[], message: RegExp, environment?: NodeJS.ProcessEnv][] = [
    [['launch', '--config', 'socket'], /it is a socket, not a file/],
    [['launch', '--trace', 'pipe'], isPipe],
    [['launch', '--trace', 'null.json'], isDevice],
    [['launch', '--out', '/proc/none/of/these'], /cannot be a run folder: ENOENT/],
    [['launch', '-n', '1', '--backend', 'wasm', ...module], isPipe],
    [['launch', '--set', 'data={name: cifar10, root: cifar}'], isPipe],
    [['launch', '--resume', '--out', 'log'], /rank-0\.log is a named pipe, not a file: remove it/],
    [['launch', '--resume', '--out', 'lock'], /in use by another job/],
    [['launch', '--resume', '--out', 'linked'], /evaluation\.json.* is a link out of the run folder/],
    [['worker'], isPipe, { ...task, POD_DIST_TOKEN_FILE: 'pipe' }],
    [['evaluate', '--checkpoint', 'run', '--out', 'null.json'], isDevice],
    [['evaluate', '--checkpoint', 'manifest/checkpoints/epoch-0001'], isPipe],
    [['predict', '--checkpoint', 'weights/checkpoints/epoch-0001', 'zero.png'], isPipe],
    [['report', 'run', '--out', 'pipe'], isPipe],
    [['report', 'run'], /report\.html is a link, through which nothing is written/],
    [['centroids', '-k', '3', '-d', '4', '--out', 'null.json'], isDevice],
  ];

  it('ends a command at once with one line and exit code 2', { timeout: 240_000 }, async () => {
    for (const [args, message, environment] of commands) {
      const { code, stderr } = await (environment
        ? place.start(args, environment).ended
        : place.ask(...args));
      expect(stderr, args.join(' ')).toMatch(message);
      expect(stderr).toMatch(/^pod-dist: [^\n]+\n$/);
      expect(code, args.join(' ')).toBe(2);
    }
    expect(readFileSync(place.path('precious'), 'utf8')).toBe('kept');
    expect(lstatSync('/dev/null').isCharacterDevice()).toBe(true);
    expect(lstatSync(place.path('pipe')).isFIFO()).toBe(true);
  });

  it('is skipped or reported if it is one of many files', async () => {
    const cache = await place.ask('data', 'cache', '--folder', 'cache');
    expect(cache, cache.stderr).toMatchObject({ code: 0, stdout: expect.stringContaining('unknown') });
    const check = await place.ask('data', 'check', 'cifar', '--json');
    expect(check.code).toBe(1);
    const { broken } = JSON.parse(check.stdout) as { broken: { problem: string }[] };
    expect(broken.filter(({ problem }) => isPipe.test(problem))).toHaveLength(2);
  });
});
