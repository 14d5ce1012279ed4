import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** Tag of the settings that TensorBoard's table of runs shows. */
export const sessionTag = '_hparams_/session_start_info';

/** Settings of a run as `HParamsPluginData` (tensorboard/plugins/hparams/plugin_data.proto). */
export function sessionStart(
  settings: ReadonlyMap<string, string | number | boolean>,
  { group, time }: { group: string; time: number },
): Uint8Array {
  const data = new BinaryWriter();
  const info = data.tag(3, WireType.LengthDelimited).fork();
  for (const [name, value] of settings) {
    const entry = info.tag(1, WireType.LengthDelimited).fork();
    entry.tag(1, WireType.LengthDelimited).string(name);
    writeValue(entry.tag(2, WireType.LengthDelimited).fork(), value).join();
    entry.join();
  }
  info.tag(4, WireType.LengthDelimited).string(group);
  info.tag(5, WireType.Bit64).double(time / 1000);
  info.join();
  return data.finish();
}

/** A `google.protobuf.Value`. */
function writeValue(writer: BinaryWriter, value: string | number | boolean): BinaryWriter {
  if (typeof value === 'number') return writer.tag(2, WireType.Bit64).double(value);
  if (typeof value === 'string') return writer.tag(3, WireType.LengthDelimited).string(value);
  return writer.tag(4, WireType.Varint).bool(value);
}
