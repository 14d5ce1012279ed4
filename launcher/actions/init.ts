import { existsSync, rmSync, writeFileSync } from 'node:fs';
import type { ArgumentsCamelCase } from 'yargs';
import { Progress } from '../../src/console/progress.js';
import { surveyFolder, type FolderSurvey } from '../../src/data/survey.js';
import { UserError } from '../../src/util/errors.js';
import { largest, smallest } from '../../src/util/extremes.js';
import { longTail, shapeFor, starterRecipe } from '../starter-recipe.js';

export interface InitArguments {
  folder: string;
  out: string;
  sample: number;
  json: boolean;
}

/** Looks at a folder of images, and writes a recipe for it. */
export async function init({ folder, out, sample, json }: ArgumentsCamelCase<InitArguments>): Promise<void> {
  if (!Number.isInteger(sample) || sample < 1)
    throw new UserError('USAGE', `--sample ${sample}: give a whole number of at least 1`);
  if (existsSync(out)) throw isThere(out);
  const progress = new Progress('images', 2);
  const options = {
    ...{ sample, shape: shapeFor },
    notify: (line: string) => progress.line(line),
    onProgress: (done: number, total: number) => progress.update(done, total),
  };
  const survey = await surveyFolder(folder, options).finally(() => progress.close());
  write(out, starterRecipe(folder, survey));
  if (json) process.stdout.write(`${JSON.stringify({ folder, out, ...survey })}\n`);
  else process.stdout.write(describe(folder, out, survey));
}

function write(out: string, text: string): void {
  try {
    writeFileSync(out, text, { flag: 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw isThere(out);
    rmSync(out, { force: true });
    throw error;
  }
}

function isThere(out: string): UserError {
  return new UserError(
    'FILE_UNUSABLE',
    `${out} is there already: remove it, or name another file with --out`,
  );
}

function describe(folder: string, out: string, survey: FolderSurvey): string {
  const { classNames, perClass, test, sampled, sizes, grey, mean, std } = survey;
  const images = perClass.reduce((sum, count) => sum + count, 0);
  const [least, most] = [smallest(perClass), largest(perClass)];
  const uneven = most >= longTail * least ? ', uneven: the recipe shows all classes alike' : '';
  const of = ([width, height]: readonly [number, number]) => `${width}x${height}`;
  const shown = [sizes.smallest, sizes.middle, sizes.largest].map(of);
  const all =
    new Set(shown).size === 1 ? `all ${shown[0]}` : `${shown[0]} to ${shown[2]}, middle ${shown[1]}`;
  const numbers = (values: readonly number[]) => values.map((value) => value.toFixed(4)).join(' ');
  return [
    `${folder}: ${classNames.length} classes, ${images} images, ${least === most ? least : `${least} to ${most}`} a class${uneven}`,
    test
      ? `test images: ${test.images} in ${test.folder}`
      : 'test images: none; a fifth of each class is held out of training (data.holdOut)',
    `sizes of ${sampled} training images: ${all} pixels; ${grey ? 'grey' : 'colour'}, mean ${numbers(mean)}, deviation ${numbers(std)}`,
    `wrote ${out}; next: pod-dist launch --config ${out} --epochs 1`,
    '',
  ].join('\n');
}
