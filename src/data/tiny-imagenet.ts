import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../util/errors.js';
import { mapAtMost } from './budget.js';
import { classFolders, imagesIn, labelsOf, type ImageIndex } from './image-index.js';
import { readDataFile } from './read-file.js';

const folderName = 'tiny-imagenet-200';
const layout = 'train/<class>/images/ and val/images/, as Tiny ImageNet has them';

/** Tiny ImageNet's images are 64x64 RGB. */
export const tinyImageNetSize = 64;

/**
 * Lists Tiny ImageNet as its archive lays it out: `train/<class>/images/*.JPEG`, and `val/images/*.JPEG` with the
 * classes in `val/val_annotations.txt` (name, class and four box coordinates, separated by tabs). The validation
 * images are the test split, in the order of their names; the archive's own `test` has no labels.
 *
 * @throws UserError `DATA_NOT_FOUND` or `DATA_INVALID`, naming the folder, or the file and line
 */
export async function indexTinyImageNet(root: string): Promise<ImageIndex> {
  const inner = join(root, folderName);
  const folder = existsSync(inner) ? inner : root;
  const folders = await classFolders(join(folder, 'train'), refuse, layout);
  const classNames = [...folders.keys()];
  const byClass = await mapAtMost(16, [...folders.values()], (path) =>
    imagesIn(join(path, 'images'), layout),
  );
  const train = { files: byClass.flat(), labels: labelsOf(byClass) };
  return { classNames, splits: { train, test: await validation(join(folder, 'val'), classNames) } };
}

function refuse(fault: UserError): never {
  throw fault;
}

async function validation(folder: string, classNames: readonly string[]) {
  const classes = new Map(classNames.map((name, label) => [name, label]));
  const annotations = join(folder, 'val_annotations.txt');
  const lines = (await readDataFile(annotations, 2 ** 24)).toString('utf8').split('\n');
  const labels = new Map<string, number>();
  lines.forEach((line, index) => {
    if (line.trim() === '') return;
    const [name, className] = line.split('\t');
    const label = classes.get(className);
    if (label === undefined) {
      throw new UserError(
        'DATA_INVALID',
        `${annotations}:${index + 1}: ${className ?? 'nothing'} is no class folder under train`,
      );
    }
    labels.set(join(folder, 'images', name), label);
  });
  const files = await imagesIn(join(folder, 'images'), layout);
  const unknown = files.find((file) => !labels.has(file));
  if (unknown !== undefined) {
    throw new UserError('DATA_INVALID', `${unknown} has no line in ${annotations}: fetch the data set again`);
  }
  if (files.length < labels.size) {
    const found = new Set(files);
    const missing = [...labels.keys()].find((file) => !found.has(file));
    throw new UserError(
      'DATA_INVALID',
      `${missing} is missing, ${annotations} names it: fetch the data set again`,
    );
  }
  return { files, labels: Int32Array.from(files, (file) => labels.get(file) as number) };
}
