import type { ArgumentsCamelCase } from 'yargs';
import { Progress } from '../../src/console/progress.js';
import type { LeftOut } from '../../src/data/find-images.js';
import { predictImages, type PredictedBatch, type Prediction } from '../../src/launching/predict-images.js';
import type { WeightsChoice } from '../../src/optim/average.js';
import { messageOf, reportOf } from '../../src/util/errors.js';
import { printable } from '../../src/util/printable.js';
import { allowedModules, type ModuleArguments } from '../flags.js';

export interface PredictArguments extends ModuleArguments {
  checkpoint: string;
  weights?: WeightsChoice;
  images: string[];
  top: number;
  threshold?: number;
  mirror?: boolean;
  backend?: string;
  json: boolean;
}

export async function predict(args: ArgumentsCamelCase<PredictArguments>): Promise<void> {
  const { checkpoint, weights, images, top, threshold, mirror, backend, json } = args;
  const progress = process.stdout.isTTY ? undefined : new Progress('images', 1);
  const describe = json ? asJson : asText;
  const firstFrames: string[] = [];
  const predicted = ({ predictions, broken }: PredictedBatch, done: number, files: number) => {
    process.stdout.write(predictions.map((prediction) => `${describe(prediction)}\n`).join(''));
    for (const { file, animated } of predictions) if (animated) firstFrames.push(file);
    for (const { file, error } of broken) {
      progress?.close();
      process.stderr.write(`pod-dist: ${messageOf(error)}\n`);
      if (json) process.stdout.write(`${JSON.stringify({ file, error: reportOf(error) })}\n`);
      process.exitCode = 2;
    }
    progress?.update(done, files);
  };
  const notify = (line: string) => void process.stderr.write(`${line}\n`);
  const request = {
    checkpoint,
    weights,
    images,
    top,
    threshold,
    mirror,
    backend,
    allowed: allowedModules(args),
  };
  const leftOut = await predictImages(request, { notify, predicted }).finally(() => progress?.close());
  if (json) for (const left of leftOut) process.stdout.write(`${JSON.stringify(leftOutAsJson(left))}\n`);
  for (const line of describeFirstFrames(firstFrames)) process.stderr.write(`pod-dist: ${line}\n`);
  for (const line of describeLeftOut(leftOut)) process.stderr.write(`pod-dist: ${line}\n`);
  if (leftOut.some(({ kind }) => kind === 'unusable')) process.exitCode = 2;
}

/** Files of one kind that a line each names. */
const named = 10;

function describeLeftOut(leftOut: readonly LeftOut[]): string[] {
  const lines = leftOut.slice(0, named).map(({ file, reason }) => `left out: ${file} ${reason}`);
  const rest = leftOut.length - lines.length;
  return rest > 0 ? [...lines, `left out: ${rest} more (all of them: --json)`] : lines;
}

function describeFirstFrames(files: readonly string[]): string[] {
  const lines = files.slice(0, named).map((file) => `${file} is animated: its first frame is classified`);
  const rest = files.length - lines.length;
  return rest > 0 ? [...lines, `${rest} more are animated (all of them: --json)`] : lines;
}

function leftOutAsJson({ file, reason }: LeftOut) {
  return { file, leftOut: reason };
}

function asJson({ file, top, known, animated, scoreKind }: Prediction): string {
  const shown = top.map(({ class: name, index, score }) => ({
    class: name,
    index,
    [scoreKind]: Number(score.toFixed(6)),
  }));
  const [best] = known ? shown : [{ class: null, index: null }];
  return JSON.stringify({
    file,
    class: best.class,
    index: best.index,
    top: shown,
    ...(animated && { animated }),
  });
}

function asText({ file, top, known }: Prediction): string {
  const names = top.map(({ class: name, score }) => `${printable(name)} ${score.toFixed(4)}`).join(', ');
  const shown = printable(file);
  if (known) return `${shown}: ${names}`;
  return `${shown}: unknown${names ? ` (nearest: ${names})` : ''}`;
}
