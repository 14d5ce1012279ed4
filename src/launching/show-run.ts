import { positionOf } from '../checkpoint/checkpoints.js';
import { Display } from '../console/display.js';
import { LiveView } from '../console/live-view.js';
import { stepsPerEpoch } from '../data/sampler.js';
import { readRunStatus } from '../record/run-status.js';
import { readJobPlan } from '../record/job-plan.js';
import type { RunPlan } from './plan-run.js';

/** Where a run is shown. */
export interface Output {
  /** Whether a view of it is redrawn in place, on standard error. */
  live: boolean;
  write(text: string): void;
}

/** Begins to show a run: a line that says what it is, then its epochs as they end. */
export function showRun(
  { config, resume, devices, images }: RunPlan,
  folder: string,
  { live, write }: Output,
): Display {
  const { name, epochs, workers } = config;
  const length = { epochs, stepsPerEpoch: stepsPerEpoch(images, config) };
  const resumed = resume && positionOf(resume);
  const resumedSteps = resumed ? resumed.epochs * length.stepsPerEpoch + resumed.steps : 0;
  const view = live ? new LiveView({ name, workers, resumedSteps, ...length }) : undefined;
  const display = new Display({ ...length, resumed, outDir: folder, view, write });
  if (devices.notice) display.line(devices.notice);
  display.line(
    `${name}: ${images} images, ${counted(epochs, 'epoch')}, ${counted(workers, 'worker')}, run folder ${folder}`,
  );
  return display;
}

/** Begins to show a run that is under way: how far it has come, then its epochs as they end. */
export function showRunUnderWay(folder: string, { live, write }: Output): Display {
  const { name, images, epochs, stepsPerEpoch } = readJobPlan(folder);
  const { epochs: done, steps, group } = readRunStatus(folder);
  const resumed = { epochs: Math.floor(steps / stepsPerEpoch), steps: steps % stepsPerEpoch };
  const length = { epochs, stepsPerEpoch };
  const workers = group?.ranks.length ?? 0;
  const view = live ? new LiveView({ name, workers, resumedSteps: steps, ...length }) : undefined;
  const display = new Display({ ...length, resumed, outDir: folder, view, write });
  display.line(
    `${name}: ${images} images, ${done} of ${counted(epochs, 'epoch')}, ${steps} steps so far, run folder ${folder}`,
  );
  return display;
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}
