import type { Description } from './description.js';
import { asset, descriptionName, jsonFile, type ExportedFile } from './files.js';
import type { Network, Operation } from './operations.js';
import { safetensorsFile } from './safetensors.js';

/** Contents of `classifier.json` beside weights in PyTorch's layouts. */
export interface PytorchDescription extends Description {
  /** Operations that compute the output, see `operations.ts`; weights of an operation are `<name>.<tensor>`. */
  operations: readonly Operation[];
}

/** Files of a model: the weights, the operations on them, and a Python module that puts both together. */
export async function pytorchFiles(network: Network, description: Description): Promise<ExportedFile[]> {
  const whole: PytorchDescription = { ...description, operations: network.operations };
  return [
    safetensorsFile('model.safetensors', network.tensors),
    await asset('classifier.py'),
    jsonFile(descriptionName, whole),
  ];
}
