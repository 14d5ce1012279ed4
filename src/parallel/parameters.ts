import * as tf from '../tf/index.js';
import { createHash } from 'node:crypto';

/** Where one variable lies in a flat array. */
export interface Slot {
  name: string;
  shape: number[];
  offset: number;
  size: number;
}

/** How a parameter is trained. */
export interface ParameterGroup {
  /** Whether it stays as it is. */
  frozen: boolean;
  /** What its learning rate is multiplied by. */
  factor: number;
}

const ordinary: ParameterGroup = { frozen: false, factor: 1 };

interface Entry extends Slot {
  variable: tf.Variable;
}

/**
 * A list of variables seen as one flat float32 array, in the order of the list: what collectives reduce, optimisers
 * update and checkpoints store.
 */
export class Parameters {
  readonly length: number;
  readonly slots: readonly Slot[];
  /** How each parameter is trained. */
  readonly groups: readonly ParameterGroup[];
  private readonly entries: Entry[];

  /** @param groups how each variable is trained; default: all alike */
  constructor(variables: readonly tf.Variable[], groups: readonly ParameterGroup[] = []) {
    this.groups = variables.map((_, index) => groups[index] ?? ordinary);
    let offset = 0;
    this.entries = variables.map((variable) => {
      const entry = {
        variable,
        name: variable.name,
        shape: variable.shape.slice(),
        offset,
        size: variable.size,
      };
      offset += variable.size;
      return entry;
    });
    this.length = offset;
    this.slots = this.entries.map(({ name, shape, offset, size }) => ({ name, shape, offset, size }));
  }

  get variables(): tf.Variable[] {
    return this.entries.map((entry) => entry.variable);
  }

  /** The variables that are not frozen. */
  get trained(): tf.Variable[] {
    return this.variables.filter((_, index) => !this.groups[index].frozen);
  }

  /** The variables, and where `flat` holds their values. */
  within(flat: Float32Array): { variable: tf.Variable; values: Float32Array }[] {
    return this.entries.map(({ variable, offset, size }) => ({
      variable,
      values: flat.subarray(offset, offset + size),
    }));
  }

  /** Copies the variables' values into `flat`. */
  read(flat: Float32Array): void {
    for (const { variable, offset } of this.entries) flat.set(variable.dataSync<'float32'>(), offset);
  }

  /** Assigns the variables from `flat`. */
  writeAll(flat: Float32Array): void {
    for (const index of this.entries.keys()) this.write(flat, index);
  }

  /** Assigns the variable of parameter `index` from `flat`. */
  write(flat: Float32Array, index: number): void {
    const { variable, shape, offset, size } = this.entries[index];
    const value = tf.tensor(flat.slice(offset, offset + size), shape, 'float32');
    variable.assign(value);
    value.dispose();
  }

  /**
   * Copies the gradient of parameter `index` into `flat`, or adds it to what is there; undefined: the loss does not depend
   * on it. Those of frozen parameters are left as they are.
   */
  takeGradient(index: number, gradient: Float32Array | undefined, flat: Float32Array, add: boolean): void {
    if (this.groups[index].frozen) return;
    const { offset, size } = this.entries[index];
    if (gradient) copy(gradient, flat, offset, add);
    else if (!add) flat.fill(0, offset, offset + size);
  }

  /** Copies named gradients, as `tf.variableGrads` returns them, into `flat`, or adds them to what is there. */
  readGradients(gradients: tf.NamedTensorMap, flat: Float32Array, add = false): void {
    this.entries.forEach(({ name }, index) =>
      this.takeGradient(index, gradients[name]?.dataSync<'float32'>(), flat, add),
    );
  }
}

function copy(values: Float32Array, flat: Float32Array, offset: number, add: boolean): void {
  if (add) for (let index = 0; index < values.length; index++) flat[offset + index] += values[index];
  else flat.set(values, offset);
}

/** SHA-256, in hex, over the bytes of arrays one after another. */
export function sha256(...arrays: readonly Float32Array[]): string {
  const hash = createHash('sha256');
  for (const array of arrays) hash.update(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  return hash.digest('hex');
}
