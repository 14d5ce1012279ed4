import type { ArgumentsCamelCase } from 'yargs';
import { initBackend } from '../../src/backend/index.js';
import { loadConfig } from '../../src/config/load.js';
import { findImages, type LeftOut } from '../../src/data/find-images.js';
import { preprocessingOf, readImageFiles } from '../../src/data/preprocessing.js';
import { messageOf, reportOf, UserError } from '../../src/util/errors.js';
import { printable } from '../../src/util/printable.js';
import type { TopClasses } from '../../src/evaluation/top-classes.js';
import { openCheckpoint } from '../../src/checkpoint/checkpoints.js';
import { Predictor, type ScoreKind } from '../../src/inference/predictor.js';
import { allowedModule, overrides, type ModuleArguments } from '../flags.js';
import { Progress } from '../../src/console/progress.js';

export interface PredictArguments extends ModuleArguments {
  checkpoint: string;
  images: string[];
  top: number;
  threshold?: number;
  mirror?: boolean;
  backend?: string;
  json: boolean;
}

export async function predict(args: ArgumentsCamelCase<PredictArguments>): Promise<void> {
  const { top, threshold, json } = args;
  if (!Number.isInteger(top) || top < 1)
    throw new UserError('USAGE', '--top takes a whole number of classes, from 1 on');
  if (threshold !== undefined && !(Math.abs(threshold) <= 1))
    throw new UserError('USAGE', '--threshold takes a cosine, -1 to 1 (softmax: a probability)');
  const notify = (line: string) => process.stderr.write(`${line}\n`);
  const { checkpoint } = await openCheckpoint(args.checkpoint, { allow: allowedModule(args), notify });
  const { files, leftOut } = await findImages(args.images);
  const config = loadConfig({ base: checkpoint.config, flags: overrides(args) });
  const preprocessing = preprocessingOf(config.data, checkpoint.shape);
  await initBackend(config.backend);
  const predictor = await Predictor.create(checkpoint, args.mirror);
  const progress = process.stdout.isTTY ? undefined : new Progress('images', 1);
  const describe = json ? asJson : asText;
  const firstFrames = new Set<string>();
  let done = 0;
  for await (const batch of readImageFiles(files, preprocessing, config.evaluation.batchSize)) {
    const predictions = predictor.predict(batch.images, top);
    const lines = predictions.map((classes, index) => {
      const known = classes.length > 0 && (threshold === undefined || classes[0].score >= threshold);
      const file = batch.files[index];
      const animated = batch.animated.has(file);
      const prediction = { file, classes, known, animated, scoreKind: predictor.scoreKind };
      return `${describe(prediction, checkpoint.classNames)}\n`;
    });
    process.stdout.write(lines.join(''));
    for (const file of batch.animated) firstFrames.add(file);
    for (const { file, error } of batch.broken) {
      progress?.close();
      process.stderr.write(`pod-dist: ${messageOf(error)}\n`);
      if (json) process.stdout.write(`${JSON.stringify({ file, error: reportOf(error) })}\n`);
      process.exitCode = 2;
    }
    done += batch.files.length + batch.broken.length;
    progress?.update(done, files.length);
  }
  progress?.close();
  predictor.dispose();
  if (json) for (const left of leftOut) process.stdout.write(`${JSON.stringify(leftOutAsJson(left))}\n`);
  for (const line of describeFirstFrames([...firstFrames])) process.stderr.write(`pod-dist: ${line}\n`);
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

interface Prediction {
  file: string;
  classes: TopClasses;
  known: boolean;
  /** It moves: its first frame is meant. */
  animated: boolean;
  scoreKind: ScoreKind;
}

function asJson(
  { file, classes, known, animated, scoreKind }: Prediction,
  classNames: readonly string[],
): string {
  const top = classes.map(({ index, score }) => ({
    class: classNames[index],
    index,
    [scoreKind]: Number(score.toFixed(6)),
  }));
  const [best] = known ? top : [{ class: null, index: null }];
  return JSON.stringify({ file, class: best.class, index: best.index, top, ...(animated && { animated }) });
}

function asText({ file, classes, known }: Prediction, classNames: readonly string[]): string {
  const named = classes
    .map(({ index, score }) => `${printable(classNames[index])} ${score.toFixed(4)}`)
    .join(', ');
  const shown = printable(file);
  if (known) return `${shown}: ${named}`;
  return `${shown}: unknown${named ? ` (nearest: ${named})` : ''}`;
}
