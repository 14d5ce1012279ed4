import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { Attribute, Binding } from '../node-backend.js';
import type { Constant, RecordedPass, Source, TensorType } from './sources.js';

/** TensorFlow's version of graphs from which on it reads them as it does today. */
const producer = 1_000;

/** The tensor in the graph, as `node:output`. */
export function nameOf(source: Source): string {
  if (source.kind === 'output') return `n${source.node}:${source.output}`;
  return source.kind === 'input' ? `in${source.input}:0` : `c${source.constant}:0`;
}

/** The name under which a tensor can be fetched though it is fed. */
export function copyNameOf(source: Source): string {
  return `copy-of-${nameOf(source).replace(':', '-')}:0`;
}

/**
 * A recorded pass as a GraphDef (tensorflow/core/framework/graph.proto): an operation for each call, a placeholder for each
 * input, and an identity for each of `copies`.
 *
 * A bias gradient reads through an identity. TensorFlow would otherwise make one operation of it and the convolution's
 * gradient beside it, which adds up in another order.
 */
export function graphDefinition(
  { nodes, inputs, constants }: RecordedPass,
  copies: readonly { source: Source; type: number }[],
  binding: Binding,
): Uint8Array {
  const graph = new BinaryWriter();
  const add = (name: string, operation: string, from: readonly string[], attributes: Attributes) =>
    message(graph, 1, (node) => {
      node.tag(1, WireType.LengthDelimited).string(name);
      node.tag(2, WireType.LengthDelimited).string(operation);
      for (const input of from) node.tag(3, WireType.LengthDelimited).string(input);
      for (const [key, write] of attributes) {
        message(node, 5, (entry) => {
          entry.tag(1, WireType.LengthDelimited).string(key);
          message(entry, 2, write);
        });
      }
    });
  inputs.forEach(({ type, shape }, index) =>
    add(
      `in${index}`,
      'Placeholder',
      [],
      [
        ['dtype', typeValue(type)],
        ['shape', (value) => writeShape(value, 7, shape)],
      ],
    ),
  );
  constants.forEach((constant, index) =>
    add(
      `c${index}`,
      'Const',
      [],
      [
        ['dtype', typeValue(constant.type)],
        ['value', (value) => message(value, 8, (tensor) => writeTensor(tensor, constant))],
      ],
    ),
  );
  nodes.forEach(({ operation, inputs, attributes }, index) => {
    let names = inputs.map(nameOf);
    if (operation === 'BiasAddGrad') {
      add(`own-n${index}`, 'Identity', names, [['T', typeValue(binding.TF_FLOAT)]]);
      names = [`own-n${index}`];
    }
    const written = attributes.map(
      (attribute) =>
        [attribute.name, (value: BinaryWriter) => writeAttribute(value, attribute, binding)] as const,
    );
    add(`n${index}`, operation, names, written);
  });
  for (const { source, type } of copies)
    add(copyNameOf(source).replace(/:0$/, ''), 'Identity', [nameOf(source)], [['T', typeValue(type)]]);
  message(graph, 4, (versions) => versions.tag(1, WireType.Varint).int32(producer));
  return graph.finish();
}

type Write = (writer: BinaryWriter) => void;
type Attributes = readonly (readonly [name: string, write: Write])[];

function message(writer: BinaryWriter, field: number, write: Write): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  write(writer);
  writer.join();
}

function typeValue(type: number): Write {
  return (value) => void value.tag(6, WireType.Varint).int32(type);
}

function writeShape(writer: BinaryWriter, field: number, shape: readonly number[]): void {
  message(writer, field, (proto) => {
    for (const size of shape) message(proto, 2, (dimension) => dimension.tag(1, WireType.Varint).int64(size));
  });
}

function writeTensor(
  tensor: BinaryWriter,
  { type, shape, bytes }: TensorType & Pick<Constant, 'bytes'>,
): void {
  tensor.tag(1, WireType.Varint).int32(type);
  writeShape(tensor, 2, shape);
  tensor.tag(4, WireType.LengthDelimited).bytes(bytes);
}

/** An AttrValue of what the addon's `executeOp` is given. */
function writeAttribute(value: BinaryWriter, { type, value: given }: Attribute, binding: Binding): void {
  if (type === binding.TF_ATTR_SHAPE) return writeShape(value, 7, given as number[]);
  const write = (writer: BinaryWriter, one: unknown) => {
    switch (type) {
      case binding.TF_ATTR_STRING:
        return writer.tag(2, WireType.LengthDelimited).string(one as string);
      case binding.TF_ATTR_INT:
        return writer.tag(3, WireType.Varint).int64(one as number);
      case binding.TF_ATTR_FLOAT:
        return writer.tag(4, WireType.Bit32).float(one as number);
      case binding.TF_ATTR_BOOL:
        return writer.tag(5, WireType.Varint).bool(Boolean(one));
      case binding.TF_ATTR_TYPE:
        return writer.tag(6, WireType.Varint).int32(one as number);
      default:
        throw new Error(`an attribute of type ${type} cannot be written`);
    }
  };
  if (Array.isArray(given)) message(value, 1, (list) => given.forEach((one) => write(list, one)));
  else write(value, given);
}
