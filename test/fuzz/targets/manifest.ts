import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { configSchema } from '../../../src/config/schema.js';
import { emptyTotals } from '../../../src/evaluation/totals.js';
import type { Checkpoint } from '../../../src/checkpoint/checkpoint.js';
import { loadCheckpoint } from '../../../src/checkpoint/load.js';
import { saveCheckpoint } from '../../../src/checkpoint/save.js';
import { Broken, type Target } from '../judge.js';
import { anyJson, disturbed, mutated } from '../mutations.js';

const saved: Checkpoint = {
  epochs: 3,
  lossState: [0.3],
  seed: 1,
  worldSize: 2,
  classNames: ['a', 'b'],
  shape: [8, 8, 1],
  config: configSchema.parse({
    data: { name: 'digits' },
    model: { name: 'small-cnn' },
    learningRate: { schedule: 'constant', rate: 0.1 },
  }),
  evaluation: emptyTotals(2),
  slots: [{ name: 'w', shape: [3], offset: 0, size: 3 }],
  weights: Float32Array.of(1, Math.PI, -0),
  updates: 90,
  state: { velocity: Float32Array.of(1e-30, 2, 3) },
  moving: Float32Array.of(0.5),
};

let checkpoint = '';
let inputs: fc.Arbitrary<Buffer> = fc.constant(Buffer.alloc(0));

/** The manifest of a checkpoint with intact arrays. */
export const manifest: Target<Buffer> = {
  name: 'manifest',
  codes: ['CHECKPOINT_CORRUPT', 'CHECKPOINT_NOT_FOUND'],
  async prepare(folder) {
    checkpoint = await saveCheckpoint(folder, saved);
    const written = readFileSync(join(checkpoint, 'checkpoint.json'));
    // Format 1 has no digest of the manifest, so changed values are read.
    const value: unknown = { ...(JSON.parse(written.toString()) as object), format: 1 };
    const texts = [written, Buffer.from(JSON.stringify(value))];
    inputs = fc.oneof(
      mutated(texts, {
        words: ['null', '1e999', '-0', '"\\u0000"', '{}', '[]', '"__proto__":{"polluted":1},'],
      }),
      disturbed([value]).map((changed) => Buffer.from(JSON.stringify(changed) ?? '')),
      anyJson().map((json) => Buffer.from(JSON.stringify(json) ?? '')),
    );
  },
  get inputs() {
    return inputs;
  },
  async read(text) {
    writeFileSync(join(checkpoint, 'checkpoint.json'), text);
    const loaded = await loadCheckpoint(checkpoint);
    const { weights, moving } = saved;
    const velocity = loaded.state.velocity && saved.state.velocity;
    const arrays = { ...loaded.state, weights: loaded.weights, moving: loaded.moving };
    for (const [name, array] of Object.entries(arrays)) {
      const written = { weights, moving, velocity }[name];
      if (!isDeepStrictEqual(array, written)) throw new Broken(`${name} are not those that were written`);
    }
    if (!configSchema.safeParse(loaded.config).success)
      throw new Broken('a configuration that its own schema refuses');
  },
};
