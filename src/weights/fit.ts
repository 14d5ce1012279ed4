import { matchesPattern, meansLayer } from '../models/layer-patterns.js';
import { UserError } from '../util/errors.js';
import type { StoredTensor, StoredTensors } from './tensors.js';
import type { Target } from './targets.js';

/** Tensors that weights come from, and how their names and layouts are to be understood. */
export interface WeightSource {
  /** A file or folder, for messages. */
  name: string;
  tensors: StoredTensors;
  /** `layers`: names and layouts of checkpoints; `pytorch`: those of PyTorch. */
  kind: 'layers' | 'pytorch';
}

interface FitOptions {
  /** Name of the network, for messages. */
  model: string;
  /** Patterns of layers, modules and tensors that are left as they are. */
  skip: readonly string[];
  /** Called with a line for each thing that does not match. */
  onMismatch(line: string): void;
}

/** Lines about what does not match, at most. */
const mostLines = 10;

/** A target and the tensor of the source that it is read from. */
interface Wanted {
  target: Target;
  name: string;
  shape: readonly number[];
  names: readonly string[];
  read(tensor: StoredTensor): Float32Array;
}

/** Counters of batch norm, which nothing here needs. */
const counters = /(?:^|\.)num_batches_tracked$/;

/**
 * Writes the numbers of a source into a network's tensors, all but those that are skipped.
 *
 * @returns a line that says how many
 * @throws UserError `WEIGHTS_MISMATCH` where a tensor is missing, is one too many, or has another shape; nothing is written
 */
export function fitWeights(
  targets: readonly Target[],
  source: WeightSource,
  { model, skip, onMismatch }: FitOptions,
): string {
  const { tensors, name } = source;
  const all = wantedOf(targets, source);
  const layers = new Set(targets.map(({ layer }) => layer));
  const wanted = all.filter(
    ({ target: { layer }, names }) => !skip.some((pattern) => meansLayer(pattern, { layer, names }, layers)),
  );
  const lines: string[] = [];
  const counts = { missing: 0, 'of another shape': 0, 'too many': 0 };
  for (const one of wanted) {
    const given = tensors.get(one.name);
    if (!given) {
      counts.missing++;
      lines.push(`${name} has no ${one.name} ${shown(one.shape)} for the layer ${one.target.layer}`);
    } else if (given.shape.join() !== one.shape.join()) {
      counts['of another shape']++;
      lines.push(`${name}: ${one.name} is ${shown(given.shape)}, ${model} has ${shown(one.shape)}`);
    }
  }
  const known = new Set(all.map((one) => one.name));
  for (const [key, { shape }] of tensors) {
    if (known.has(key) || counters.test(key) || skip.some((pattern) => matchesPattern(pattern, [key])))
      continue;
    counts['too many']++;
    lines.push(`${name}: ${key} ${shown(shape)} has no place in ${model}`);
  }
  if (lines.length > 0) {
    for (const line of lines.slice(0, mostLines)) onMismatch(line);
    if (lines.length > mostLines) onMismatch(`${name}: ${lines.length - mostLines} more do not match`);
    const parts = Object.entries(counts).flatMap(([what, count]) => (count > 0 ? [`${count} ${what}`] : []));
    throw new UserError(
      'WEIGHTS_MISMATCH',
      `the weights of ${name} do not fit ${model} (${parts.join(', ')}): ${lines[0]}; init.skip names what to leave out, and padding, stem and patch are settings of the model`,
    );
  }
  for (const one of wanted) one.target.values.set(one.read(tensors.get(one.name) as StoredTensor));
  return `starts from ${name}: ${wanted.length} of ${all.length} tensors`;
}

/** The tensor of the source for each target; names of PyTorch's are those that more of the tensors have. */
function wantedOf(targets: readonly Target[], { tensors, kind }: WeightSource): Wanted[] {
  if (kind === 'layers')
    return targets.map((target) => ({
      ...{ target, name: target.name, shape: target.shape, names: [target.name, target.layer] },
      read: (tensor) => tensor.read(),
    }));
  const hits = (which: 'own' | 'pytorch') =>
    targets.filter((target) => tensors.has(target[which]?.name ?? '')).length;
  const isPytorch = hits('pytorch') >= hits('own') && targets.some(({ pytorch }) => pytorch);
  return targets.map((target) => {
    const { name, module, shape, convert } = (isPytorch && target.pytorch) || target.own;
    return {
      ...{ target, name, shape, names: [name, module, target.name, target.layer] },
      read: (tensor) => convert({ shape: tensor.shape, data: tensor.read() }),
    };
  });
}

function shown(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}
