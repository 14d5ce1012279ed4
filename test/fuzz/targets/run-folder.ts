import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { readRuns } from '../../../src/report/run.js';
import { Broken, type Target } from '../judge.js';
import { anyJson, disturbed, mutated } from '../mutations.js';

const step = {
  kind: 'step',
  epoch: 1,
  step: 1,
  loss: 0.5,
  nac: 0.4,
  sc: 0.1,
  delta: 0.1,
  lr: 0.1,
  samplesPerSecond: 9,
};
const epoch = { kind: 'epoch', epoch: 1, trainLoss: 0.5, evalAccuracy: 0.9, meanCosine: 0.8 };
const ranks = {
  kind: 'ranks',
  epoch: 1,
  ranks: [{ images: 9, seconds: 1, loaderSeconds: 0.1, exposedSeconds: 0.2 }],
};
const report = {
  worldSize: 2,
  backend: 'wasm',
  devices: ['cpu', 'cpu'],
  parameters: 10,
  epochs: 1,
  evalCorrect: 9,
  evalTotal: 10,
  evalAccuracy: 0.9,
  samplesPerSecond: 100,
  seconds: 3,
};

const json = (samples: readonly object[]): fc.Arbitrary<Buffer> =>
  fc.oneof(
    mutated(samples.map((sample) => Buffer.from(JSON.stringify(sample)))),
    disturbed(samples).map((value) => Buffer.from(JSON.stringify(value) ?? '')),
    anyJson().map((value) => Buffer.from(JSON.stringify(value) ?? '')),
  );

interface RunFiles {
  lines: Buffer[];
  report: Buffer;
  settings: Buffer;
}

/** A run folder as `pod-dist report` reads it: broken files are left out and reported. */
export const runFolder: Target<RunFiles> = {
  name: 'run-folder',
  codes: ['RUN_NOT_FOUND'],
  inputs: fc.record({
    lines: fc.array(json([step, epoch, ranks]), { maxLength: 5 }),
    report: json([report]),
    settings: mutated([
      Buffer.from('name: digits\nmodel:\n  name: small-cnn\n'),
      Buffer.from('a: &a [*a]\n'),
    ]),
  }),
  read({ lines, report, settings }, folder) {
    const run = join(folder, 'run');
    rmSync(run, { recursive: true, force: true });
    mkdirSync(run);
    writeFileSync(
      join(run, 'metrics.jsonl'),
      Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')])),
    );
    writeFileSync(join(run, 'report.json'), report);
    writeFileSync(join(run, 'config.yaml'), settings);
    const [read] = readRuns([run]);
    if (read.gaps.some((gap) => gap.includes('\n'))) throw new Broken('a gap of several lines');
    for (const { loss, lr } of read.steps)
      if (typeof loss !== 'number' || typeof lr !== 'number') throw new Broken('a step without numbers');
  },
};
