import {
  checkHeader,
  decodeHeader,
  elementTypes,
  encodeHeader,
  kinds,
  ops,
  wireTypes,
  type Header,
} from '../../../src/transport/wire.js';
import { Broken, type Target } from '../judge.js';
import { mutated } from '../mutations.js';

const samples: Header[] = kinds.map((kind, index) => ({
  kind,
  type: elementTypes[index % elementTypes.length],
  op: ops[index % ops.length],
  wire: wireTypes[index % wireTypes.length],
  stream: index,
  sequence: 1000 * index,
  step: 7,
  chunk: index,
  source: index % 4,
  tag: 0xdead_beef,
  elements: 2 ** 20,
  bytes: 2 ** 22,
  generation: 3,
}));

/** The header before every payload between two ranks. */
export const header: Target<Buffer> = {
  name: 'header',
  codes: ['PROTOCOL_ERROR', 'COLLECTIVE_MISMATCH'],
  inputs: mutated(samples.map(encodeHeader), { most: 4 }),
  read(frame) {
    const [expected] = samples;
    const decoded = decodeHeader(frame);
    for (const [field, value] of Object.entries(decoded)) {
      if (value === undefined) throw new Broken(`a header without ${field}`);
    }
    if (!encodeHeader(decoded).equals(frame) && frame[11] === 0)
      throw new Broken('a header that is not the frame it was read from');
    checkHeader(frame, expected, 1, 'gradients');
  },
};
