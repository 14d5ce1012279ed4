import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import type { KernelTime } from '../../profile.js';
import type { Node } from './sources.js';

/**
 * Times of the operations of a run, from its RunMetadata (tensorflow/core/framework/step_stats.proto).
 *
 * RunMetadata.step_stats = 1, StepStats.dev_stats = 1, DeviceStepStats.node_stats = 2; of NodeExecStats node_name = 1 and
 * op_start_rel_micros = 3, op_end_rel_micros = 4.
 */
export function operationTimes(traces: readonly Uint8Array[], nodes: readonly Node[]): KernelTime[] {
  return traces
    .flatMap((trace) => within(trace, 1, 1, 2))
    .map(nodeStats)
    .flatMap(({ name, start, end }) => {
      const index = /^n(\d+)$/.exec(name)?.[1];
      if (index === undefined) return [];
      return [{ kernel: nodes[Number(index)].operation, milliseconds: (end - start) / 1000, calls: 1 }];
    });
}

/** The messages at a path of fields. */
function within(bytes: Uint8Array, ...[field, ...rest]: number[]): Uint8Array[] {
  const found: Uint8Array[] = [];
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    if (number === field && type === WireType.LengthDelimited) found.push(reader.bytes());
    else reader.skip(type);
  }
  return rest.length === 0 ? found : found.flatMap((message) => within(message, ...rest));
}

function nodeStats(bytes: Uint8Array): { name: string; start: number; end: number } {
  const reader = new BinaryReader(bytes);
  const stats = { name: '', start: 0, end: 0 };
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    if (number === 1) stats.name = reader.string();
    else if (number === 3) stats.start = Number(reader.int64());
    else if (number === 4) stats.end = Number(reader.int64());
    else reader.skip(type);
  }
  return stats;
}
