import { basename, resolve } from 'node:path';
import { stringify } from 'yaml';
import { heldOutShare, type FolderSurvey, type ImageSizes } from '../src/data/survey.js';
import { largest, smallest } from '../src/util/extremes.js';

/** Sides of images that networks are usual for; others are brought to one of them. */
const usualSides = [32, 64, 128, 224];
/** Sides up to which images that are all alike stay as they are. */
const mostKept = 64;
/** How much longer one side may be where an image is stretched. */
const stretched = 1.15;
/** How many times the images of its smallest class the largest has in a long tail. */
export const longTail = 3;

/** How images of these sizes become squares: as they are, stretched, or the centre of what is resized. */
export function shapeFor({ smallest, middle, largest }: ImageSizes): { size: number; resize?: number } {
  const [width, height] = middle;
  const shorter = Math.min(width, height);
  const equal = [smallest, largest].every(([w, h]) => w === width && h === height);
  if (equal && width === height && width <= mostKept) return { size: width };
  const size = usualSides.findLast((side) => side <= 1.25 * shorter) ?? Math.max(8, shorter);
  return Math.max(width, height) <= stretched * shorter
    ? { size }
    : { size, resize: Math.round(1.125 * size) };
}

/** A recipe for what is in a folder, with a comment wherever somebody may want another value. */
export function starterRecipe(root: string, survey: FolderSurvey): string {
  const { classNames, perClass, test, sampled, sizes, grey, mean, std } = survey;
  const { size, resize } = shapeFor(sizes);
  const images = perClass.reduce((sum, count) => sum + count, 0);
  const trained = test ? images : Math.round((1 - heldOutShare) * images);
  const batchSize = trained < 1000 ? 32 : trained < 10_000 ? 64 : 128;
  const epochs = trained < 5000 ? 60 : trained < 50_000 ? 40 : 30;
  const uneven = largest(perClass) >= longTail * smallest(perClass);
  const numbers = (values: readonly number[]) => `[${values.map((value) => value.toFixed(4)).join(', ')}]`;
  const lines = [
    `# ${images} images of ${classNames.length} classes in ${JSON.stringify(root)}, as pod-dist init has found them.`,
    '# pod-dist config settings lists all that a recipe may say.',
    `name: ${nameOf(root)}`,
    `seed: 1`,
    `batchSize: ${batchSize} # over all workers; with a multiple of it multiply the learning rate as well`,
    `epochs: ${epochs} # more for harder images; --epochs 1 is a first try`,
    ...(uneven
      ? [
          `sampling: classes # all classes alike: the largest has ${largest(perClass)} images, the smallest ${smallest(perClass)}`,
        ]
      : []),
    'data:',
    '  name: image-folder',
    `  root: ${JSON.stringify(root)} # from the folder on in which pod-dist is started`,
    ...(test
      ? []
      : [
          `  holdOut: ${heldOutShare} # share of the images that is tested with; without it put images into a folder test beside train`,
        ]),
    `  size: ${size} # pixels of a side: larger is slower and shows more`,
    ...(resize === undefined
      ? []
      : [
          `  resize: ${resize} # the shorter side, before the centre is cut out; without it images are stretched`,
        ]),
    `  channels: ${grey ? '1 # grey' : '3 # colours; 1 for grey'}`,
    '  augment:',
    ...augmentation(size, grey),
    `  normalize: # of ${sampled} images, drawn by seed 1`,
    `    mean: ${numbers(mean)}`,
    `    std: ${numbers(std.map((value) => Math.max(value, 0.001)))}`,
    ...network(size, trained, classNames.length),
    'loss:',
    '  name: pod # others: pod-dist config settings loss',
    'optimizer:',
    '  name: sgd',
    '  momentum: 0.9',
    '  nesterov: true',
    '  weightDecay: 0.0005',
    'learningRate:',
    '  schedule: one-cycle',
    '  rate: 0.2 # pod-dist lr-find suggests one',
  ];
  return `${lines.join('\n')}\n`;
}

function augmentation(size: number, grey: boolean): string[] {
  const crop =
    size > mostKept
      ? '    randomResizedCrop: true # for things of any size and place; for faces or scans rather cropPadding'
      : `    cropPadding: ${Math.max(1, Math.round(size / 8))} # moved by so many pixels`;
  const flip = grey
    ? '    flip: false # true where mirror images are of the same class: not for letters and digits'
    : '    flip: true # mirror images; false for letters, digits and other things that have a direction';
  return [crop, flip];
}

function network(size: number, images: number, classes: number): string[] {
  const least = size > 40 || images >= 2000 ? 128 : 64;
  const dim = `  dim: ${widthFor(classes, least)} # features; more than classes, so that all centroids are equally far apart`;
  if (size > mostKept)
    return ['model:', '  name: resnet18 # or mobilenetv2, resnet50', '  stem: imagenet', dim];
  if (size > 40) return ['model:', '  name: resnet18 # or resnet20, which is faster', dim];
  if (images >= 2000) return ['model:', '  name: resnet20 # or resnet18, which is slower and better', dim];
  return ['model:', '  name: small-cnn # or resnet20', '  batchNorm: true', dim];
}

/** The least power of two that makes a simplex of the classes, as far as backbones allow it. */
function widthFor(classes: number, least: number): number {
  let dim = least;
  while (dim < classes - 1 && dim < 4096) dim *= 2;
  return dim;
}

function nameOf(root: string): string {
  const name = basename(resolve(root))
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '');
  return stringify(name.slice(0, 100) || 'images').trim();
}
