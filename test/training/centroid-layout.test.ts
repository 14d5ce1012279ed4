import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Checkpoint } from '../../src/checkpoint/checkpoint.js';
import { findCheckpoint } from '../../src/checkpoint/checkpoints.js';
import { restoreClassifier } from '../../src/checkpoint/restore.js';
import { saveCheckpoint } from '../../src/checkpoint/save.js';
import { Classifier } from '../../src/classifier/classifier.js';
import { LocalCommunicator } from '../../src/collective/local-communicator.js';
import { configSchema } from '../../src/config/schema.js';
import { generateCentroids } from '../../src/pedcc/index.js';
import * as tf from '../../src/tf/index.js';
import { shareCentroids } from '../../src/training/centroid-layout.js';
import { takeInitial } from '../../src/training/initial.js';
import { npyFile } from '../../launcher/npy.js';

const folder = mkdtempSync(join(tmpdir(), 'pod-dist-centroids-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const shape = [4, 4, 1] as const;
const communicator = new LocalCommunicator();

function configOf(changes: object = {}, dim = 8) {
  return configSchema.parse({
    data: { name: 'digits' },
    model: { name: 'small-cnn', dim, channels: [2], strides: [2] },
    learningRate: { schedule: 'constant', rate: 0.1 },
    ...changes,
  });
}

interface Trained {
  checkpoint: Checkpoint;
  classifier: Classifier;
  lines: string[];
}

/** Starts a run on these classes, from a checkpoint if given; returns its classifier, checkpoint and notices. */
async function begin(names: readonly string[], changes: object = {}, from?: Checkpoint): Promise<Trained> {
  const init = from && { init: { from: 'before', ...(changes as { init?: object }).init } };
  const config = configOf({ ...changes, ...init });
  const lines: string[] = [];
  const onNotice = (line: string) => void lines.push(line);
  const initial = from && { name: 'before', checkpoint: from };
  const dataset = { classNames: names };
  const centroids = await shareCentroids({ config, dataset, communicator, initial, onNotice });
  const classes = names.length;
  const classifier = await Classifier.create({ config, shape, classes, communicator, centroids });
  const { weights, parameters, centroidsSha256, centroidLayout, batchNorm } = classifier;
  const moving = batchNorm.flatten();
  if (initial) takeInitial(initial, { classifier, classNames: names, moving, config, onNotice });
  const checkpoint: Checkpoint = {
    ...{ epochs: 1, lossState: [], seed: config.seed, worldSize: 1, classNames: names, shape, config },
    ...{
      centroidsSha256,
      centroids: centroidLayout,
      slots: parameters.slots,
      weights,
      updates: 1,
      state: {},
    },
    moving,
  };
  return { checkpoint, classifier, lines };
}

const rowsOf = ({ classifier }: Trained, names: readonly string[]) =>
  names.map((name, label) => [name, classifier.centroids.rows([label]).join()] as const);

describe('centroids of a run with new classes', () => {
  beforeAll(() => tf.setBackend('cpu'));

  it('are reserved ones for new classes, and stay the same by name for known classes, over several runs', async () => {
    const first = await begin(['b', 'd'], { centroids: { reserve: 3 } });
    expect(first.checkpoint.centroids).toEqual({ total: 5, rows: [0, 1], absent: [] });
    const known = new Map(rowsOf(first, ['b', 'd']));
    const second = await begin(['a', 'b', 'c', 'd'], {}, first.checkpoint);
    expect(second.lines[0]).toBe('2 classes keep their centroids, 2 new ones have free ones, 1 are left');
    expect(second.checkpoint.centroids?.rows).toEqual([2, 0, 3, 1]);
    for (const [name, row] of rowsOf(second, ['a', 'b', 'c', 'd'])) expect(row).toBe(known.get(name) ?? row);
    const alone = await begin(['e'], { init: { classes: 'keep' } }, second.checkpoint);
    expect(alone.checkpoint.centroids?.rows).toEqual([4]);
    expect(alone.checkpoint.centroids?.absent).toHaveLength(4);
    const all = await begin(['a', 'b', 'c', 'd', 'e'], {}, alone.checkpoint);
    const again = new Map(rowsOf(all, ['a', 'b', 'c', 'd', 'e']));
    for (const [name, row] of [...known, ...rowsOf(second, ['a', 'b', 'c', 'd'])])
      expect(again.get(name)).toBe(row);
    expect(new Set(again.values()).size).toBe(5);
    for (const { classifier } of [first, second, alone, all]) classifier.dispose();
  });

  it('are rejected without a reserve, unless init.classes is new or more centroids leave the old ones in place', async () => {
    const few = await begin(['a', 'b', 'c']);
    await expect(begin(['a', 'b', 'c', 'd'], {}, few.checkpoint)).rejects.toMatchObject({
      code: 'CENTROIDS_INVALID',
      message: expect.stringMatching(
        /^1 classes are new \(d\).* centroids\.reserve 1 or more.*init\.classes new/,
      ),
    });
    const other = await begin(['a', 'b', 'c', 'd'], { init: { classes: 'new' } }, few.checkpoint);
    expect(other.checkpoint.centroids).toBeUndefined();
    const names = [...'abcdefghijk'];
    const orthoplex = await begin(names);
    const grown = await begin([...names, 'l', 'm'], {}, orthoplex.checkpoint);
    expect(rowsOf(grown, names)).toEqual(rowsOf(orthoplex, names));
    for (const { classifier } of [few, other, orthoplex, grown]) classifier.dispose();
  });

  it('are rejected if seed, dimension or source differ from the checkpoint, and a reserve for a loss with class weights', async () => {
    const { checkpoint, classifier } = await begin(['a', 'b'], { centroids: { reserve: 2 } });
    classifier.dispose();
    const keep = { init: { classes: 'keep' } };
    for (const [changes, reason] of [
      [{ ...keep, seed: 2 }, /has the centroids of seed 1: set centroids\.seed to 1/],
      [{ ...keep, model: { name: 'small-cnn', dim: 9 } }, /has centroids of 8 dimensions/],
      [{ ...keep, centroids: { file: 'x.npy' } }, /brings the centroids of its classes/],
    ] as const)
      await expect(begin(['a', 'b', 'c'], changes, checkpoint)).rejects.toThrow(reason);
    expect(() => configOf({ loss: { name: 'softmax' }, centroids: { reserve: 2 } })).toThrow(
      /trains the weights/,
    );
  });

  it('need no reserve for a loss with class weights, which are copied by name', async () => {
    const loss = { loss: { name: 'softmax' } };
    const before = await begin(['b', 'c'], loss);
    const after = await begin(['a', 'b', 'c'], loss, before.checkpoint);
    const kernel = ({ classifier: { parameters, weights } }: Trained) => {
      const slot = parameters.slots.find(({ name }) => name.startsWith('classes/kernel'));
      return [...weights.subarray(slot?.offset, (slot?.offset ?? 0) + (slot?.size ?? 0))];
    };
    expect(kernel(after).slice(8)).toEqual(kernel(before));
    for (const { classifier } of [before, after]) classifier.dispose();
  });

  it('come from centroids.file and are stored in checkpoints', async () => {
    const { values } = generateCentroids({ classes: 6, dim: 8, seed: 9 });
    const file = join(folder, 'own.npy');
    writeFileSync(file, npyFile(values, [6, 8]));
    const { checkpoint, classifier } = await begin(['a', 'b', 'c'], { centroids: { file } });
    expect(classifier.centroids.rows([0, 1, 2])).toEqual(values.subarray(0, 24));
    expect(classifier.centroids.construction).toBe('given');
    await saveCheckpoint(join(folder, 'checkpoints'), checkpoint);
    rmSync(file);
    const { checkpoint: read } = await findCheckpoint(folder);
    expect(read.centroids).toEqual({ total: 6, rows: [0, 1, 2], absent: [], given: values });
    const restored = await restoreClassifier(read, communicator);
    expect(restored.centroids.rows([2])).toEqual(values.subarray(16, 24));
    const more = await begin(['a', 'b', 'c', 'd'], { centroids: { file } }, read);
    expect(more.classifier.centroids.rows([3])).toEqual(values.subarray(24, 32));
    for (const one of [classifier, restored, more.classifier]) one.dispose();
  });
});
