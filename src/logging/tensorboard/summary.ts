import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/** Counts of values between edges: one more edge than counts. */
export interface Counts {
  edges: readonly number[];
  counts: readonly number[];
}

/** A PNG. */
export interface Picture {
  png: Uint8Array;
  width: number;
  height: number;
}

/** Types of `tensorflow/core/framework/types.proto`. */
const dtFloat = 1;
const dtDouble = 2;
const dtString = 7;

/** Values of one step, as a `Summary` (tensorboard/compat/proto/summary.proto). */
export class Summary {
  private readonly writer = new BinaryWriter();

  finish(): Uint8Array {
    return this.writer.finish();
  }

  scalar(tag: string, value: number): this {
    return this.value(tag, (writer) => writer.tag(2, WireType.Bit32).float(value));
  }

  image(tag: string, { png, width, height }: Picture): this {
    return this.value(tag, (writer) => {
      const image = writer.tag(4, WireType.LengthDelimited).fork();
      image.tag(1, WireType.Varint).int32(height).tag(2, WireType.Varint).int32(width);
      image.tag(3, WireType.Varint).int32(3).tag(4, WireType.LengthDelimited).bytes(png).join();
    });
  }

  /** Text, as Markdown. */
  text(tag: string, text: string): this {
    return this.value(tag, (writer) => {
      metadata(writer, 'text');
      const tensor = writer.tag(8, WireType.LengthDelimited).fork();
      tensor.tag(1, WireType.Varint).int32(dtString);
      shape(tensor, [1]);
      tensor.tag(8, WireType.LengthDelimited).string(text).join();
    });
  }

  /** A tensor [bins, 3] of left edge, right edge and count, as TensorBoard keeps histograms. */
  histogram(tag: string, { edges, counts }: Counts): this {
    const rows = counts.flatMap((count, bin) => [edges[bin], edges[bin + 1], count]);
    return this.value(tag, (writer) => {
      metadata(writer, 'histograms');
      const tensor = writer.tag(8, WireType.LengthDelimited).fork();
      tensor.tag(1, WireType.Varint).int32(dtDouble);
      shape(tensor, [counts.length, 3]);
      const content = new Uint8Array(Float64Array.from(rows).buffer);
      tensor.tag(4, WireType.LengthDelimited).bytes(content).join();
    });
  }

  /** Data of TensorBoard's plug-in for hyperparameters. */
  hyperparameters(tag: string, data: Uint8Array): this {
    return this.value(tag, (writer) => {
      metadata(writer, 'hparams', data);
      const nothing = writer.tag(8, WireType.LengthDelimited).fork().tag(1, WireType.Varint).int32(dtFloat);
      shape(nothing, [0]);
      nothing.join();
    });
  }

  private value(tag: string, write: (writer: BinaryWriter) => void): this {
    const value = this.writer.tag(1, WireType.LengthDelimited).fork();
    value.tag(1, WireType.LengthDelimited).string(tag);
    write(value);
    value.join();
    return this;
  }
}

function metadata(writer: BinaryWriter, plugin: string, content?: Uint8Array): void {
  const field = writer.tag(9, WireType.LengthDelimited).fork().tag(1, WireType.LengthDelimited).fork();
  field.tag(1, WireType.LengthDelimited).string(plugin);
  if (content) field.tag(2, WireType.LengthDelimited).bytes(content);
  field.join().join();
}

function shape(tensor: BinaryWriter, sizes: readonly number[]): void {
  const field = tensor.tag(2, WireType.LengthDelimited).fork();
  for (const size of sizes)
    field.tag(2, WireType.LengthDelimited).fork().tag(1, WireType.Varint).int64(size).join();
  field.join();
}
