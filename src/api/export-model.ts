import type { ExportFormat } from '../export/index.js';
import { writeModel, type ExportedModel } from '../launching/export-model.js';
import { restoringVariables } from '../util/environment.js';
import { allowedModules, type CheckpointOptions } from './checkpoint-options.js';

/** Options of `exportModel`. */
export interface ExportOptions extends CheckpointOptions {
  /** `tfjs`: model.json for web pages; `safetensors`: weights and a Python module for PyTorch; `onnx`: model.onnx. */
  format: ExportFormat;
  /** The folder to write, whole or not at all. */
  out: string;
  /** Replace an earlier export; default: refuse with `EXPORT_EXISTS`. */
  force?: boolean;
  /** Called with the bytes written, and all. */
  onProgress?(done: number, total: number): void;
}

/**
 * Writes a trained model as a folder for another framework, as the command `pod-dist export` does, with a
 * `classifier.json` of class names and preprocessing.
 *
 * @returns what was written: files with their sizes in bytes, the number of classes, the epochs of training
 * @throws UserError `EXPORT_EXISTS`, `EXPORT_UNSUPPORTED` for a layer that the format has no word for,
 *   `CHECKPOINT_NOT_FOUND` and other mistakes in the input
 * @example
 * import { exportModel } from 'pod-dist';
 *
 * const { files } = await exportModel({ checkpoint: 'runs/digits', format: 'onnx', out: 'digits-onnx' });
 * for (const { name, bytes } of files) console.log(name, bytes);
 */
export async function exportModel(options: ExportOptions): Promise<ExportedModel> {
  const { checkpoint, weights, format, out, force, onLine, onProgress } = options;
  const request = { checkpoint, weights, format, out, force, allowed: allowedModules(options) };
  const hooks = { notify: (line: string) => onLine?.(line), writing: onProgress };
  return restoringVariables(() => writeModel(request, hooks));
}
