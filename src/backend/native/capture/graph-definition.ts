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
 * Operations that TensorFlow computes by another kernel, or together with a neighbour, where it finds them in a graph: to
 * other bits. It does not look into functions, so each is one; the name of its result.
 */
const apart: Readonly<Record<string, string>> = {
  BiasAddGrad: 'output',
  LogSoftmax: 'logsoftmax',
  Softmax: 'softmax',
};

/**
 * A recorded pass as a GraphDef (tensorflow/core/framework/graph.proto): an operation for each call, a placeholder for each
 * input, and an identity for each of `copies`.
 */
export function graphDefinition(
  { nodes, inputs, constants }: RecordedPass,
  copies: readonly { source: Source; type: number }[],
  binding: Binding,
): Uint8Array {
  const graph = new BinaryWriter();
  const add = (node: NodeDefinition) => message(graph, 1, (writer) => writeNode(writer, node));
  inputs.forEach(({ type, shape }, index) =>
    add({
      name: `in${index}`,
      operation: 'Placeholder',
      attributes: [
        ['dtype', typeValue(type)],
        ['shape', (value) => writeShape(value, 7, shape)],
      ],
    }),
  );
  constants.forEach((constant, index) =>
    add({
      name: `c${index}`,
      operation: 'Const',
      attributes: [
        ['dtype', typeValue(constant.type)],
        ['value', (value) => message(value, 8, (tensor) => writeTensor(tensor, constant))],
      ],
    }),
  );
  const functions: NodeDefinition[] = [];
  nodes.forEach(({ operation, inputs, attributes }, index) => {
    const written = attributes.map(
      (attribute) =>
        [attribute.name, (value: BinaryWriter) => writeAttribute(value, attribute, binding)] as const,
    );
    const name = `n${index}`;
    const node = { name, operation, inputs: inputs.map(nameOf), attributes: written };
    if (!Object.hasOwn(apart, operation)) return add(node);
    functions.push(node);
    add({ ...node, operation: functionName(node), attributes: [] });
  });
  for (const { source, type } of copies) {
    const name = copyNameOf(source).replace(/:0$/, '');
    add({ name, operation: 'Identity', inputs: [nameOf(source)], attributes: [['T', typeValue(type)]] });
  }
  message(graph, 2, (library) => {
    for (const node of functions)
      message(library, 1, (definition) => writeFunction(definition, node, binding.TF_FLOAT));
  });
  message(graph, 4, (versions) => versions.tag(1, WireType.Varint).int32(producer));
  return graph.finish();
}

interface NodeDefinition {
  name: string;
  operation: string;
  inputs?: readonly string[];
  attributes: Attributes;
}

function functionName({ name, operation }: NodeDefinition): string {
  return `${operation}_${name}`;
}

function writeNode(writer: BinaryWriter, { name, operation, inputs = [], attributes }: NodeDefinition): void {
  text(writer, 1, name);
  text(writer, 2, operation);
  for (const input of inputs) text(writer, 3, input);
  for (const [key, write] of attributes) {
    message(writer, 5, (entry) => {
      text(entry, 1, key);
      message(entry, 2, write);
    });
  }
}

/** A function (tensorflow/core/framework/function.proto) of one tensor that calls one operation. */
function writeFunction(writer: BinaryWriter, node: NodeDefinition, type: number): void {
  const argument = (name: string) => (writer: BinaryWriter) => {
    text(writer, 1, name);
    writer.tag(3, WireType.Varint).int32(type);
  };
  message(writer, 1, (signature) => {
    text(signature, 1, functionName(node));
    message(signature, 2, argument('x'));
    message(signature, 3, argument('y'));
  });
  message(writer, 3, (inner) => writeNode(inner, { ...node, inputs: ['x'] }));
  message(writer, 4, (result) => {
    text(result, 1, 'y');
    text(result, 2, `${node.name}:${apart[node.operation]}:0`);
  });
}

function text(writer: BinaryWriter, field: number, value: string): void {
  writer.tag(field, WireType.LengthDelimited).string(value);
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
