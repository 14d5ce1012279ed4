import { positionOf } from '../checkpoint/checkpoints.js';
import { Display, type DisplayOptions } from '../console/display.js';
import { stepsPerEpoch } from '../data/sampler.js';
import { readRunStatus } from '../record/run-status.js';
import { readJobPlan } from '../record/job-plan.js';
import type { RunPlan } from './plan-run.js';

/** Begins to show a run: a line that says what it is, then its epochs as they end. */
export function showRun(
  { config, resume, devices, images }: RunPlan,
  folder: string,
  output: Pick<DisplayOptions, 'terminal' | 'write'>,
): Display {
  const display = new Display({
    epochs: config.epochs,
    stepsPerEpoch: stepsPerEpoch(images, config),
    resumed: resume && positionOf(resume),
    outDir: folder,
    ...output,
  });
  if (devices.notice) display.line(devices.notice);
  display.line(
    `${config.name}: ${images} images, ${counted(config.epochs, 'epoch')}, ${counted(config.workers, 'worker')}, run folder ${folder}`,
  );
  return display;
}

/** Begins to show a run that is under way: how far it has come, then its epochs as they end. */
export function showRunUnderWay(folder: string, output: Pick<DisplayOptions, 'terminal' | 'write'>): Display {
  const { name, images, epochs, stepsPerEpoch } = readJobPlan(folder);
  const { epochs: done, steps } = readRunStatus(folder);
  const resumed = { epochs: Math.floor(steps / stepsPerEpoch), steps: steps % stepsPerEpoch };
  const display = new Display({ epochs, stepsPerEpoch, resumed, outDir: folder, ...output });
  display.line(
    `${name}: ${images} images, ${done} of ${counted(epochs, 'epoch')}, ${steps} steps so far, run folder ${folder}`,
  );
  return display;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
