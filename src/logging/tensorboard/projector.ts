import { join } from 'node:path';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import type { Evaluation } from '../../evaluation/schema.js';
import type { EvaluationSample } from '../../evaluation/sample.js';
import { printable } from '../../util/printable.js';

/** Writes the features of test images, and what they are, for TensorBoard's projector. */
export function writeProjector(folder: string, { classNames }: Evaluation, sample: EvaluationSample): void {
  const { dim, images, labels, assigned, features } = sample;
  const write = (name: string, content: string | Buffer) => writeFileAtomicSync(join(folder, name), content);
  const nameOf = (label = -1) => printable(classNames[label] ?? '').replaceAll('\t', ' ');
  const rows = Array.from(images, (image, row) =>
    [image, nameOf(labels[row]), nameOf(assigned[row]), labels[row] === assigned[row]].join('\t'),
  );
  write('features.bytes', Buffer.from(features.buffer, features.byteOffset, features.byteLength));
  write('features.tsv', [['test image', 'class', 'assigned', 'right'].join('\t'), ...rows, ''].join('\n'));
  write(
    'projector_config.pbtxt',
    [
      'embeddings {',
      '  tensor_name: "features of test images"',
      '  tensor_path: "features.bytes"',
      `  tensor_shape: ${images.length}`,
      `  tensor_shape: ${dim}`,
      '  metadata_path: "features.tsv"',
      '}',
      '',
    ].join('\n'),
  );
}
