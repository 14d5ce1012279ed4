import { LocalCommunicator } from '../collective/local-communicator.js';
import type { Checkpoint } from '../checkpoint/checkpoint.js';
import { restoreClassifier } from '../checkpoint/restore.js';
import type { Classifier } from '../classifier/classifier.js';
import type { WeightsChoice } from '../optim/average.js';
import { describe } from './description.js';
import { asset, descriptionName, type ExportFormat, jsonFile, type ExportedFile } from './files.js';
import { headOf } from './head.js';
import { networkOf } from './network.js';
import { onnxFile } from './onnx.js';
import { pytorchFiles } from './pytorch.js';
import { tfjsFiles } from './tfjs.js';

export {
  checkExportFolder,
  exportFormats,
  sizeOf,
  writeExportFolder,
  type ExportedFile,
  type ExportFormat,
} from './files.js';

/**
 * A checkpoint's model as the files of another ecosystem, `classifier.json` among them: class names, preprocessing
 * and what the scores are. `weights`: which, where some are averaged.
 *
 * @throws UserError `EXPORT_UNSUPPORTED` naming a layer of a user's own backbone that the format has no word for,
 * `EXPORT_TOO_LARGE` for weights that an ONNX file cannot hold
 */
export async function exportCheckpoint(
  checkpoint: Checkpoint,
  format: ExportFormat,
  weights?: WeightsChoice,
): Promise<ExportedFile[]> {
  const classifier = await restoreClassifier(checkpoint, new LocalCommunicator(), { weights });
  try {
    await classifier.batchNorm.publish();
    return await filesOf(classifier, checkpoint, format);
  } finally {
    classifier.dispose();
  }
}

async function filesOf(
  classifier: Classifier,
  checkpoint: Checkpoint,
  format: ExportFormat,
): Promise<ExportedFile[]> {
  const { model } = classifier.forward;
  const head = headOf(classifier);
  switch (format) {
    case 'tfjs':
      return [
        ...(await tfjsFiles(model, head)),
        jsonFile(descriptionName, describe(checkpoint, head, 'NHWC')),
      ];
    case 'safetensors':
      return [
        ...(await pytorchFiles(networkOf(model, head), describe(checkpoint, head, 'NCHW'))),
        await asset('preprocessing.py'),
      ];
    case 'onnx':
      return [
        onnxFile('model.onnx', networkOf(model, head)),
        await asset('preprocessing.py'),
        jsonFile(descriptionName, describe(checkpoint, head, 'NCHW')),
      ];
  }
}
