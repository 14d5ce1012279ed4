import { configSchema } from '../config/schema.js';
import { completeStored, dropUnknown } from '../config/stored.js';
import { datasets, openDataset } from '../data/index.js';
import { thumbnails } from '../data/thumbnails.js';
import type { Evaluation } from '../evaluation/schema.js';
import { messageOf } from '../util/errors.js';

const side = 96;

/** Pictures of the mistakes of an evaluation, and why there are none. */
export interface Pictures {
  of: Evaluation;
  /** PNGs in base 64. */
  images: string[];
  missing?: string;
}

/** Reads the images that an evaluation has mistaken from the data set of the run, whose settings are given. */
export async function picturesOf(evaluation: Evaluation, given: unknown): Promise<Pictures> {
  try {
    return { of: evaluation, images: await read(evaluation, given) };
  } catch (error) {
    return { of: evaluation, images: [], missing: messageOf(error) };
  }
}

async function read({ mistakes, classNames, total }: Evaluation, given: unknown): Promise<string[]> {
  const settings = structuredClone(given);
  dropUnknown(settings);
  completeStored(settings);
  const { data, seed } = configSchema.parse(settings);
  if (datasets.find(data.name) === undefined) throw new Error(`the data set ${data.name} is a plug-in's`);
  const dataset = await openDataset(data, { seed, threads: 1, evaluated: classNames, notify: () => {} });
  try {
    const labels = dataset.labels.test;
    if (labels.length !== total || mistakes.some(({ image, label }) => labels[image] !== label))
      throw new Error("the evaluation is not of the test images of the run's settings");
    return await thumbnails(
      dataset,
      mistakes.map(({ image }) => image),
      side,
    );
  } finally {
    await dataset.close();
  }
}
