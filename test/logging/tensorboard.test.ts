import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Follower } from '../../src/logging/follower.js';
import { tensorboard } from '../../src/logging/tensorboard/index.js';
import { EventFile } from '../../src/logging/tensorboard/event-file.js';
import { Summary } from '../../src/logging/tensorboard/summary.js';
import { needs } from '../needs.js';
import { readEvents } from './events.js';
import { RecordedRun } from './runs.js';

const python = process.env.POD_DIST_PYTHON ?? 'python3';
const script = fileURLToPath(new URL('fixtures/read_events.py', import.meta.url));

function hasTensorBoard(): boolean {
  return spawnSync(python, ['-c', 'import tensorboard']).status === 0;
}

describe('EventFile', () => {
  let folder: string;
  beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'))));
  afterEach(() => rmSync(folder, { recursive: true }));
  const files = () =>
    readdirSync(folder)
      .sort()
      .map((name) => join(folder, name));

  it("writes the bytes of TensorBoard's own writer", () => {
    const file = new EventFile(folder);
    file.append([
      { time: 1500, step: 0, what: { version: 'brain.Event:2' } },
      { time: 2000, step: 300, what: { begins: true } },
    ]);
    const summary = new Summary().scalar('loss/total', 0.5).finish();
    file.append([{ time: 1_800_000_000_250, step: 301, what: { summary } }]);
    file.close();
    // RecordWriter and event_pb2 of tensorboard 2.21.0.
    expect(readFileSync(files()[0]).toString('hex')).toBe(
      '1800000000000000a37f4b2209000000000000f83f1a0d627261696e2e4576656e743a322a28646c' +
        '100000000000000095fbfe1809000000000000004010ac023a0208011292da012100000000000000' +
        '017becf6090000108074d2da4110ad022a130a110a0a6c6f73732f746f74616c150000003f1c4a58' +
        'a3',
    );
  });

  it('gives each process a file that sorts after earlier ones, and loses only a truncated record', () => {
    const write = (step: number) => {
      const file = new EventFile(folder);
      const summary = new Summary().scalar('a', step).finish();
      file.append([0, 1].map((more) => ({ time: 0, step: step + more, what: { summary } })));
      file.close();
    };
    for (const step of [0, 10, 20]) write(step);
    truncateSync(files()[1], readFileSync(files()[1]).length - 3);
    expect(readEvents(folder).map(({ step }) => step)).toEqual([0, 1, 10, 20, 21]);
  });
});

describe('the event files of a run', () => {
  it('are read correctly by TensorBoard', needs('TensorBoard for Python', hasTensorBoard()), async () => {
    const recorded = new RecordedRun();
    const follow = async () => {
      const follower = new Follower('tensorboard', tensorboard, recorded.run, () => {});
      await follower.open();
      await follower.follow();
      return follower;
    };
    recorded.steps(0, 15).epoch(0).steps(15, 20);
    await follow();
    recorded.resume({ epochs: 1, steps: 2 }).steps(17, 30).epoch(1).finish();
    await (await follow()).close(undefined, 1000);
    const read = JSON.parse(
      execFileSync(python, [script, join(recorded.folder, 'tensorboard')], { encoding: 'utf8' }),
    ) as Record<string, unknown>;
    expect(read).toEqual({
      steps: Array.from({ length: 30 }, (_, step) => step),
      accuracy: [
        [14, 0.75],
        [29, 0.75],
      ],
      images: [
        ['evaluation/confusion matrix', 500, 500],
        ['evaluation/predictions', 624, 136],
      ],
      norms: [
        [0, 60, 1],
        [60, 120, 2],
        [120, 180, 1],
      ],
      settings: expect.stringContaining('name: logged'),
      hyperparameters: expect.objectContaining({
        batchSize: 100,
        'data.name': 'digits',
        'run.private': true,
      }),
      features: [
        [1, 0],
        [0.5, 0.5],
        [0, 1],
        [0, 2],
      ],
    });
    recorded.remove();
  });
});
