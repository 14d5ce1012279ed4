import Table from 'cli-table3';
import { dryRun, type DryRun } from '../../src/launching/dry-run.js';
import type { RunRequest } from '../../src/launching/plan-run.js';
import { followSignals } from '../../src/util/signals.js';

/** Checks a run and prints what it would take. */
export async function printDryRun(request: Omit<RunRequest, 'resume'>, json: boolean): Promise<void> {
  const notify = (line: string) => void process.stderr.write(`${line}\n`);
  const found = await dryRun(request, { notify, stopping: followSignals });
  process.stdout.write(`${json ? JSON.stringify(found) : describe(found)}\n`);
}

const compact = { mid: '', 'left-mid': '', 'mid-mid': '', 'right-mid': '' };

function describe({ memory, wire, disk, ...run }: DryRun): string {
  const table = new Table({ chars: compact, style: { head: [], border: [] } });
  const { workers, images, stepsPerEpoch, epochs, parameters } = run;
  table.push(
    ['training images', `${images.toLocaleString('en')}, ${stepsPerEpoch} steps an epoch, ${epochs} epochs`],
    ['parameters', parameters.toLocaleString('en')],
    [
      'memory of a worker',
      `weights ${megabytes(memory.weights)}, gradients ${megabytes(memory.gradients)}, optimiser ${megabytes(memory.optimiser)}, activations at least ${megabytes(memory.activations)}`,
    ],
    ['most memory of rank 0', megabytes(memory.peak)],
    ['images a second', run.imagesPerSecond.toFixed(0)],
    ['time', `an epoch ${duration(run.epochSeconds)}, the run ${duration(run.runSeconds)}`],
    [
      'sent by a worker',
      `${megabytes(wire.stepBytes)} a step, ${megabytes(wire.epochBytes)} an epoch (${wire.algorithm})`,
    ],
    [
      'checkpoints',
      `${disk.checkpoints} of ${megabytes(disk.checkpointBytes)}, ${megabytes(disk.bytes)} in all; ${megabytes(disk.freeBytes)} are free`,
    ],
  );
  return `${table.toString()}\nworkers: ${workers}; nothing was trained; times are an estimate from a few steps, without evaluations`;
}

function megabytes(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
}

function duration(seconds: number): string {
  if (seconds < 120) return `${seconds.toFixed(1)} s`;
  return seconds < 7200 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
