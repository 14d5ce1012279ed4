import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { initBackend } from '../../src/backend/index.js';
import { Classifier } from '../../src/classifier/classifier.js';
import { LocalCommunicator } from '../../src/collective/local-communicator.js';
import { configSchema } from '../../src/config/schema.js';
import { networkOf } from '../../src/export/network.js';
import { safetensorsFile } from '../../src/export/safetensors.js';
import { takeInitial } from '../../src/training/initial.js';
import { openWeights } from '../../src/weights/open-weights.js';
import { readSafetensors } from '../../src/weights/safetensors.js';
import { targetsOf } from '../../src/weights/targets.js';
import { present } from '../../src/util/present.js';
import { long } from '../needs.js';
import { numbers, tensorOf } from './written.js';

const golden = (name: string) => fileURLToPath(new URL(`./golden/${name}`, import.meta.url));
const jsonOf = <T>(name: string) => JSON.parse(readFileSync(golden(name), 'utf8')) as T;

interface Golden {
  side: number;
  tensors: [name: string, shape: number[]][];
  features: number[];
}

/** A network whose tensors are known by a digest of their names and shapes. */
interface NamedGolden {
  side: number;
  names: string;
  features: number[];
}

const networks = jsonOf<{
  resnet18: Golden;
  'vit-tiny': Golden;
  names: { resnet50: string };
  convolutional: Record<string, NamedGolden>;
}>('networks.json');
const folder = mkdtempSync(join(tmpdir(), 'pod-dist-weights-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function classifierOf(model: Record<string, unknown>, side: number, init: object, seed = 1) {
  const config = configSchema.parse({
    seed,
    data: { name: 'digits' },
    model: { dim: 16, ...model },
    init,
    learningRate: { schedule: 'constant', rate: 0.1 },
  });
  const communicator = new LocalCommunicator();
  const classifier = await Classifier.create({ config, shape: [side, side, 3], classes: 3, communicator });
  return { config, classifier };
}

/** Starts a network from a file with the golden tensors; returns the features of the golden image and the notices. */
async function startFrom(
  name: string,
  { side, tensors }: Pick<Golden, 'side' | 'tensors'>,
  model: object,
  skip: string[] = [],
): Promise<{ features: number[]; lines: string[] }> {
  const made = tensors.map(([key, shape], index) => [key, tensorOf(key, index, shape)] as const);
  const file = safetensorsFile('x', new Map(made));
  const from = join(folder, `${name}.safetensors`);
  writeFileSync(from, Buffer.concat(file.parts));
  const { config, classifier } = await classifierOf({ name, ...model }, side, { from, skip });
  const lines: string[] = [];
  const { weights, batchNorm } = classifier;
  try {
    if (name === 'vit-tiny') {
      const { slots } = classifier.parameters;
      const places = slots.find((slot) => /^depthwise/.test(slot.name));
      weights.fill(0, places?.offset, (places?.offset ?? 0) + (places?.size ?? 0));
    }
    const moving = batchNorm.flatten();
    const onNotice = (line: string) => void lines.push(line);
    takeInitial(await openWeights(from, () => {}), { classifier, classNames: [], moving, config, onNotice });
    classifier.loadWeights();
    batchNorm.restore(moving);
    await batchNorm.publish();
    const images = Float32Array.from(numbers(9999, side * side * 3));
    const features = classifier.evaluate({ images, labels: Int32Array.of(0), count: 1 }, false);
    return { features: [...features.dataSync()], lines };
  } finally {
    classifier.dispose();
  }
}

/** Names and shapes of a network's tensors in PyTorch, by name. */
async function pytorchTensors(model: Record<string, unknown>): Promise<Golden['tensors']> {
  const { config, classifier } = await classifierOf(model, 32, { from: 'x' });
  const { weights, batchNorm, forward } = classifier;
  const targets = targetsOf(forward.model, config.model, { weights, moving: batchNorm.flatten() });
  classifier.dispose();
  const tensors = targets.map(
    ({ pytorch }) => [pytorch?.name ?? '', [...(pytorch?.shape ?? [])]] as [string, number[]],
  );
  return tensors.sort(([a], [b]) => (a < b ? -1 : 1));
}

function digestOf(tensors: Golden['tensors']): string {
  const lines = tensors.map(([name, shape]) => `${name} [${shape.join(', ')}]`);
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

function expectClose(actual: readonly number[], expected: readonly number[]): void {
  expect(actual).toHaveLength(expected.length);
  actual.forEach((value, index) => expect(Math.abs(value - expected[index])).toBeLessThan(1e-4));
}

describe('a network that starts from a file', () => {
  beforeAll(() => initBackend('wasm'));

  it("has the features of torchvision's ResNet-18", async () => {
    const { features, lines } = await startFrom('resnet18', networks.resnet18, {
      ...{ stem: 'imagenet', padding: 'pytorch' },
    });
    expectClose(features, networks.resnet18.features);
    expect(lines).toEqual([expect.stringMatching(/^starts from .*: 102 of 102 tensors$/)]);
  });

  it("has the features of timm's blocks of a vision transformer", async () => {
    const { features, lines } = await startFrom('vit-tiny', networks['vit-tiny'], { patch: 16 }, [
      'depthwise2',
    ]);
    expectClose(features, networks['vit-tiny'].features);
    expect(lines).toEqual([expect.stringMatching(/: 342 of 343 tensors$/)]);
  });

  it("matches the names and shapes of torchvision's ResNet-50", async () => {
    const tensors = await pytorchTensors({ name: 'resnet50', stem: 'imagenet' });
    expect(digestOf(tensors)).toBe(networks.names.resnet50);
  });

  async function expectFeatures(name: string, model: object): Promise<void> {
    const { side, names, features: wanted } = present(networks.convolutional[name], name);
    const tensors = await pytorchTensors({ name, ...model });
    expect(digestOf(tensors)).toBe(names);
    const { features } = await startFrom(name, { side, tensors }, model);
    expectClose(features, wanted);
  }
  const imagenet = { stem: 'imagenet', padding: 'pytorch' };
  it("has the features of torchvision's MobileNetV2", () => expectFeatures('mobilenetv2', imagenet));
  it("has the features of torchvision's DenseNet-121", long, () => expectFeatures('densenet121', imagenet));
  it("has the features of torchvision's VGG-16, pooled", long, () => expectFeatures('vgg16-bn', {}));

  it('takes the tensors of an export of the same network, and reports those that do not match', async () => {
    const model = { name: 'small-cnn', channels: [4, 6], strides: [2, 2], batchNorm: true };
    const from = join(folder, 'export.safetensors');
    const take = async (settings: object, skip: string[] = []) => {
      const { config, classifier } = await classifierOf({ ...model, ...settings }, 8, { from, skip });
      const moving = classifier.batchNorm.flatten();
      const lines: string[] = [];
      const onNotice = (line: string) => void lines.push(line);
      const opened = await openWeights(from, () => {});
      const failed = () => takeInitial(opened, { classifier, classNames: [], moving, config, onNotice });
      return { classifier, lines, moving, failed };
    };
    const { classifier: trained } = await classifierOf(model, 8, { from }, 5);
    const head = { weight: new Float32Array(48), classes: 3, dim: 16, scores: 'cosines' } as const;
    const { tensors } = networkOf(trained.forward.model, head);
    tensors.delete('cosines.weight');
    writeFileSync(from, Buffer.concat(safetensorsFile('x', tensors).parts));

    const same = await take({});
    same.classifier.weights.fill(0);
    same.moving.fill(0);
    same.failed();
    expect(same.lines).toEqual([`starts from ${from}: 12 of 12 tensors`]);
    expect(same.classifier.weights).toEqual(trained.weights);
    expect(same.moving).toEqual(trained.batchNorm.flatten());

    const other = await take({ dim: 8, batchNorm: false });
    expect(other.failed).toThrow(/do not fit small-cnn \(3 missing, 2 of another shape, 9 too many\)/);
    expect(other.lines).toHaveLength(11);
    expect(other.lines[0]).toBe(`${from} has no conv1.bias [4] for the layer conv1`);
    expect(other.lines.at(-1)).toBe(`${from}: 4 more do not match`);
    const skipping = await take({ dim: 8, batchNorm: false }, [
      'features',
      'bn*',
      'conv*/bias',
      'conv3',
      'conv4',
    ]);
    skipping.failed();
    expect(skipping.lines).toEqual([`starts from ${from}: 1 of 6 tensors`]);
    for (const { classifier } of [same, other, skipping]) classifier.dispose();
    trained.dispose();
  });
});

describe('openWeights', () => {
  it('reads files of PyTorch and safetensors with types, strides and prefixes', async () => {
    const expected = jsonOf<Record<string, [number[], number[]]>>('small.json');
    for (const file of ['small.pt', 'small.safetensors']) {
      const { tensors } = await openWeights(golden(file), () => {});
      const read = [...(tensors ?? [])].map(
        ([name, tensor]) => [name, [tensor.shape, [...tensor.read()]]] as const,
      );
      expect(Object.fromEntries(read)).toEqual(expected);
    }
  });

  it('rejects a pickle that names other functions, and runs nothing of it', async () => {
    await expect(openWeights(golden('evil.pt'), () => {})).rejects.toThrow(
      /^cannot take weights from .*evil\.pt: it names (?:posix|os)\.system, which is not allowed/,
    );
    expect(existsSync('evil-was-here')).toBe(false);
  });

  it('rejects files of other formats, and missing files', async () => {
    const other = join(folder, 'other.pt');
    for (const bytes of ['', 'text that is no weights', Buffer.from('504b0304', 'hex')]) {
      writeFileSync(other, bytes);
      await expect(openWeights(other, () => {})).rejects.toMatchObject({ code: 'WEIGHTS_INVALID' });
    }
    await expect(openWeights(join(folder, 'none'), () => {})).rejects.toMatchObject({
      code: 'FILE_UNUSABLE',
    });
  });

  const tensor = (dtype: string, shape: number[], offsets: unknown) => ({
    dtype,
    shape,
    data_offsets: offsets,
  });
  it.each([
    ['overlapping', { a: tensor('F32', [2], [0, 8]), b: tensor('F32', [2], [4, 12]) }, /begins at byte 4/],
    ['with a gap', { a: tensor('F32', [1], [0, 4]), b: tensor('F32', [1], [8, 12]) }, /begins at byte 8/],
    ['short of the end', { a: tensor('F32', [2], [0, 8]) }, /end at byte 8 of 12/],
    ['beyond the end', { a: tensor('F32', [4], [0, 16]) }, /no place within/],
    ['backwards', { a: tensor('F32', [3], [12, 0]) }, /no place within/],
    [
      'of another length than their shape',
      { a: tensor('F32', [2], [0, 12]) },
      /has 12 bytes, its shape needs 8/,
    ],
    ['of an unknown type', { a: tensor('F8_E4M3', [12], [0, 12]) }, /of the type F8_E4M3/],
    ['of a shape below zero', { a: tensor('F32', [-3], [0, 12]) }, /no place within/],
  ])('rejects a safetensors file with tensors %s', (_, header, reason) => {
    const json = Buffer.from(JSON.stringify(header));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(json.length));
    const bytes = Buffer.concat([length, json, Buffer.alloc(12)]);
    expect(() => readSafetensors('x', bytes)).toThrow(reason);
    length.writeBigUInt64LE(2n ** 40n);
    expect(() => readSafetensors('x', Buffer.concat([length, json]))).toThrow(/its header has/);
  });
});
