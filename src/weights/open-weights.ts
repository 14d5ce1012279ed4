import { statSync } from 'node:fs';
import { findCheckpoint } from '../checkpoint/checkpoints.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { UserError } from '../util/errors.js';
import { readRegularFile } from '../util/regular-file.js';
import { isZip, readPytorch } from './pytorch-file.js';
import { isSafetensors, readSafetensors } from './safetensors.js';
import type { StoredTensors } from './tensors.js';

/** Bytes of a file of weights, at most. */
const mostBytes = 2 ** 32;

/** Weights of another training: a checkpoint, or the tensors of a file. */
export type OpenedWeights = { name: string } & (
  { checkpoint: Checkpoint; tensors?: undefined } | { checkpoint?: undefined; tensors: StoredTensors }
);

/**
 * Opens a run folder or checkpoint of pod-dist, a safetensors file, or a file of `torch.save`; what a file is, its first
 * bytes say. Nothing in it is executed.
 *
 * @throws UserError `FILE_UNUSABLE`, `CHECKPOINT_NOT_FOUND`, `WEIGHTS_INVALID`
 */
export async function openWeights(name: string, notify: (line: string) => void): Promise<OpenedWeights> {
  if (statSync(name, { throwIfNoEntry: false })?.isDirectory())
    return { name, checkpoint: (await findCheckpoint(name, notify)).checkpoint };
  const bytes = readRegularFile(name, { mostBytes });
  if (isZip(bytes)) return { name, tensors: withoutPrefix(await readPytorch(name, bytes)) };
  if (isSafetensors(bytes)) return { name, tensors: withoutPrefix(readSafetensors(name, bytes)) };
  throw new UserError(
    'WEIGHTS_INVALID',
    `cannot take weights from ${name}: it is neither safetensors nor what PyTorch 1.6 and newer save; load and save it again there`,
  );
}

/** Names without the prefix that PyTorch's DataParallel adds to all of them. */
function withoutPrefix(tensors: StoredTensors): StoredTensors {
  const prefix = 'module.';
  if (![...tensors.keys()].every((name) => name.startsWith(prefix))) return tensors;
  return new Map([...tensors].map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}
