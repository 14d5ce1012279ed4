import { describe, expect, it } from 'vitest';
import { Display, type DisplayOptions } from '../../src/console/display.js';
import { emptyTotals } from '../../src/evaluation/totals.js';
import type { EpochRecord } from '../../src/record/records.js';
import type { Report } from '../../src/record/records.js';

const epoch: EpochRecord = {
  kind: 'epoch',
  epoch: 1,
  trainLoss: 0.123456,
  evalCorrect: 351,
  evalTotal: 360,
  evalAccuracy: 0.975,
  perClassAccuracy: [1, 0.95],
  meanCosine: 0.87654,
  seconds: 1.26,
};

const report: Report = {
  worldSize: 4,
  backend: 'wasm',
  devices: ['CPU', 'CPU', 'CPU', 'CPU'],
  parameters: 10,
  epochs: 3,
  evalCorrect: 351,
  evalTotal: 360,
  evalAccuracy: 0.975,
  samplesPerSecond: 1234.5,
  centroidsSha256: 'a',
  weightsSha256: 'b',
  seconds: 12.34,
};

function display(options: Partial<DisplayOptions> = {}): { display: Display; lines: () => string[] } {
  let text = '';
  const write = (more: string) => void (text += more);
  const given = { epochs: 3, stepsPerEpoch: 15, outDir: 'runs/x', write };
  return { display: new Display({ ...given, ...options }), lines: () => text.split('\n').slice(0, -1) };
}

describe('Display without a view', () => {
  it('writes a plain line for each epoch', () => {
    const { display: shown, lines } = display();
    shown.epoch(epoch, emptyTotals(2));
    shown.epoch({ ...epoch, exposedShare: 0.123 }, emptyTotals(2));
    const line = 'epoch 2/3 loss 0.1235 accuracy 97.50 % (351/360) mean cosine 0.877 1.3 s';
    expect(lines()).toEqual([line, `${line}, 12 % waiting for other workers`]);
  });

  it('writes nothing for fast steps', () => {
    const { display: shown, lines } = display();
    for (let step = 0; step < 10; step++)
      shown.step({
        kind: 'step',
        epoch: 0,
        step,
        loss: 1,
        nac: 1,
        sc: 0,
        delta: 0.05,
        lr: 0.1,
        samplesPerSecond: 5,
      });
    expect(lines()).toEqual([]);
  });

  it('ends with a table of accuracy and speed, without control characters', () => {
    const { display: shown, lines } = display();
    shown.line('some news');
    shown.finished(report);
    shown.close();
    const text = lines().join('\n');
    expect(lines()[0]).toBe('some news');
    for (const part of ['97.50 % (351/360)', 'wasm', '1235', '12.3', 'runs/x']) expect(text).toContain(part);
    expect(text).not.toContain('\u001b');
    expect(text).not.toContain('\r');
  });
});
