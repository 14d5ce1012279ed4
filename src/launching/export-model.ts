import { initBackend } from '../backend/index.js';
import { openCheckpoint } from '../checkpoint/checkpoints.js';
import { noneAllowed, type AllowedModules } from '../checkpoint/modules.js';
import type { WeightsChoice } from '../optim/average.js';
import {
  checkExportFolder,
  exportCheckpoint,
  sizeOf,
  writeExportFolder,
  type ExportFormat,
} from '../export/index.js';

/** Which model is to be exported, and how. */
export interface ExportRequest {
  /** A run folder, of which the newest checkpoint is meant, or a checkpoint folder. */
  checkpoint: string;
  /** Which weights, where some are averaged; default: as the checkpoint says. */
  weights?: WeightsChoice;
  /** `tfjs`: model.json for web pages; `safetensors`: weights and a Python module for PyTorch; `onnx`: model.onnx. */
  format: ExportFormat;
  /** The folder to write, whole or not at all. */
  out: string;
  /** Replace an earlier export; default: refuse. */
  force?: boolean;
  /** Modules of the checkpoint that may be imported; default: those that were trained with on this machine. */
  allowed?: AllowedModules;
}

/** Result of an export. */
export interface ExportedModel {
  format: ExportFormat;
  /** Folder of the exported model. */
  out: string;
  /** Folder of the exported checkpoint. */
  checkpoint: string;
  /** Epochs that it was trained for. */
  epochs: number;
  /** Number of classes. */
  classes: number;
  files: { name: string; bytes: number }[];
}

/** Callbacks of an export. */
export interface ExportHooks {
  /** Called with lines for people. */
  notify(line: string): void;
  /** Called with the bytes written, and the bytes in all. */
  writing?(done: number, total: number): void;
}

/**
 * Writes a checkpoint's model as a folder of another ecosystem, as `pod-dist export` does.
 *
 * @throws UserError for a mistake in the request, or a layer that the format has no word for
 */
export async function writeModel(request: ExportRequest, hooks: ExportHooks): Promise<ExportedModel> {
  const { format, out, force = false, allowed = noneAllowed } = request;
  await checkExportFolder(out, force);
  const { notify } = hooks;
  const { folder, checkpoint } = await openCheckpoint(request.checkpoint, { allowed, notify });
  await initBackend('cpu');
  const files = await exportCheckpoint(checkpoint, format, request.weights);
  await writeExportFolder(out, files, hooks.writing);
  const { epochs, classNames } = checkpoint;
  const written = files.map((file) => ({ name: file.name, bytes: sizeOf(file) }));
  return { format, out, checkpoint: folder, epochs, classes: classNames.length, files: written };
}
