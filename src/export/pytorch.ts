import { readFile } from 'node:fs/promises';
import type { Description } from './description.js';
import { descriptionName, jsonFile, type ExportedFile } from './files.js';
import type { Network, Operation } from './operations.js';
import { safetensorsFile } from './safetensors.js';

/** What `classifier.json` says beside weights in PyTorch's layouts. */
export interface PytorchDescription extends Description {
  /** What computes the output, see `operations.ts`; weights of an operation are `<name>.<tensor>`. */
  operations: readonly Operation[];
}

/** The weights, what computes with them, and a Python module that puts both together. */
export async function pytorchFiles(network: Network, description: Description): Promise<ExportedFile[]> {
  const reader = await readFile(new URL('./assets/classifier.py', import.meta.url));
  const whole: PytorchDescription = { ...description, operations: network.operations };
  return [
    safetensorsFile('model.safetensors', network.tensors),
    { name: 'classifier.py', parts: [reader] },
    jsonFile(descriptionName, whole),
  ];
}
