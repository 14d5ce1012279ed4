import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import type { RecordedPass } from './sources.js';

/**
 * Times of the operations of a run, by kind, from its RunMetadata (tensorflow/core/framework/step_stats.proto).
 *
 * RunMetadata.step_stats = 1, StepStats.dev_stats = 1, DeviceStepStats.node_stats = 2; of NodeExecStats node_name = 1 and
 * op_end_rel_micros = 5, op_start_rel_micros = 4.
 */
export function operationTimes(traces: readonly Uint8Array[], { nodes }: RecordedPass) {
  const times = new Map<string, { milliseconds: number; calls: number }>();
  for (const stats of traces.flatMap((trace) => within(trace, 1, 1, 2))) {
    const { name, start, end } = nodeStats(stats);
    const index = /^n(\d+)$/.exec(name)?.[1];
    if (index === undefined) continue;
    const { operation } = nodes[Number(index)];
    const time = times.get(operation) ?? { milliseconds: 0, calls: 0 };
    times.set(operation, { milliseconds: time.milliseconds + (end - start) / 1000, calls: time.calls + 1 });
  }
  return times;
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
    else if (number === 4) stats.start = Number(reader.int64());
    else if (number === 5) stats.end = Number(reader.int64());
    else reader.skip(type);
  }
  return stats;
}
