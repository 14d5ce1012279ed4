import { readRegularText } from '../util/regular-file.js';
import { UserError } from '../util/errors.js';
import { nearestNeighbours } from '../evaluation/neighbours.js';
import { findByName, readPairs } from '../evaluation/pairs.js';
import { verify, type Verification } from '../evaluation/verification.js';
import { present } from '../util/present.js';
import type { EvaluateHooks } from './evaluate-run.js';
import { featuresRun, type Features, type FeaturesRequest } from './features-run.js';

/** Bytes of a list of pairs, at most. */
const mostBytes = 200_000_000;

export interface VerifyRequest extends FeaturesRequest {
  /** Folder of the images that the pairs name, from it on; classes are its folders. */
  root: string;
  /** List of pairs (`readPairs`). */
  pairs?: string;
  /** Neighbours that vote for an image's class; default: none are asked. */
  neighbours?: number;
}

/** How well features tell classes apart. */
export interface VerifyResult {
  images: number;
  dim: number;
  /** By the cosine between the features of both images. */
  verification?: Verification;
  /** Share of images whose nearest neighbours are of their class: the folder that they lie in. */
  neighbours?: { count: number; accuracy: number; classes: number };
  /** Folder of the checkpoint. */
  checkpoint: string;
}

/**
 * Judges features on images of any classes: by pairs of images, and by nearest neighbours.
 *
 * @throws UserError for a mistake in the request, such as a pair whose image is not there
 */
export async function verifyRun(request: VerifyRequest, hooks: EvaluateHooks): Promise<VerifyResult> {
  const { pairs: file, neighbours: count, root } = request;
  if (file === undefined && count === undefined)
    throw new UserError('USAGE', 'give --pairs, --neighbours, or both');
  if (count !== undefined && !(Number.isInteger(count) && count >= 1))
    throw new UserError('USAGE', 'neighbours takes a whole number from 1 on');
  const list =
    file === undefined
      ? undefined
      : readPairs(readRegularText(file, { mostBytes, code: 'DATA_NOT_FOUND' }), file);
  const features = await featuresRun(request, hooks);
  const { names, dim, checkpoint } = features;
  const result: VerifyResult = { images: names.length, dim, checkpoint };
  if (list !== undefined) {
    const find = findByName(names);
    const placeOf = (name: string) => {
      const place = find(name);
      if (place === undefined)
        throw new UserError('DATA_NOT_FOUND', `${file}: there is no image ${name} in ${root}`);
      return place;
    };
    const scores = list.pairs.map(({ left, right }) => cosine(features, placeOf(left), placeOf(right)));
    const same = list.pairs.map((pair) => pair.same);
    result.verification = verify(scores, same, list.folds);
  }
  if (count !== undefined) {
    const classes = names.map((name) => (name.includes('/') ? present(name.split('/')[0], 'a folder') : ''));
    const accuracy = nearestNeighbours({ ...features, classes }, count);
    result.neighbours = { count, accuracy, classes: new Set(classes).size };
  }
  return result;
}

function cosine({ values, dim, norms }: Features, left: number, right: number): number {
  let inner = 0;
  for (let at = 0; at < dim; at++) inner += (values[left * dim + at] ?? 0) * (values[right * dim + at] ?? 0);
  const size = (norms[left] ?? 0) * (norms[right] ?? 0);
  return size > 0 ? inner / size : 0;
}
