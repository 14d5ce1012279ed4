import { replaceWhere } from '../kernels.js';
import { precisionNow } from '../precision.js';
import { Bfloat16, bfloat16 } from './bfloat16.js';
import { Attributes, backendName, type NodeBackend } from './node-backend.js';

/** Matrix products in bfloat16 where that is the precision; TensorFlow adds them up in float32 and rounds once. */
export function registerProducts(backend: NodeBackend): void {
  const attributes = new Attributes(backend.binding);
  const narrow = new Bfloat16(backend);
  const type = attributes.type('T', bfloat16);
  replaceWhere(backendName, 'BatchMatMul', ({ a, b }, { transposeA, transposeB }) => {
    if (precisionNow() !== 'bf16' || a.dtype !== 'float32' || b.dtype !== 'float32') return undefined;
    const sides = [
      attributes.flag('adj_x', transposeA as boolean),
      attributes.flag('adj_y', transposeB as boolean),
    ];
    return narrow.run((operations) => {
      const ids = [operations.narrow(a), operations.narrow(b)];
      return operations.tensor(operations.execute('BatchMatMulV2', [type, ...sides], ids)[0]);
    });
  });
}
