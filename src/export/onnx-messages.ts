import { create } from '@bufbuild/protobuf';
import {
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  NodeProtoSchema,
  TensorProtoSchema,
  TensorProto_DataType as DataType,
  ValueInfoProtoSchema,
  type AttributeProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from 'onnx-buf';

/** An attribute of a node: a list of integers, an integer, or, boxed, a floating-point number. */
export type Attribute = readonly number[] | number | { float: number };

/** A node that makes the value `output`, which is also its name. */
export function node(
  opType: string,
  input: readonly string[],
  output: string,
  attributes: Readonly<Record<string, Attribute>> = {},
): NodeProto {
  const attribute = Object.entries(attributes).map(([name, value]) => attributeOf(name, value));
  return create(NodeProtoSchema, { name: output, opType, input: [...input], output: [output], attribute });
}

function attributeOf(name: string, value: Attribute): AttributeProto {
  if (typeof value === 'number') {
    return create(AttributeProtoSchema, { name, type: AttributeType.INT, i: BigInt(value) });
  }
  if ('float' in value) {
    return create(AttributeProtoSchema, { name, type: AttributeType.FLOAT, f: value.float });
  }
  return create(AttributeProtoSchema, { name, type: AttributeType.INTS, ints: value.map(BigInt) });
}

/** A tensor of float32. */
export function floats(name: string, dims: readonly number[], data: Float32Array): TensorProto {
  const rawData = new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
  return create(TensorProtoSchema, { name, dims: dims.map(BigInt), dataType: DataType.FLOAT, rawData });
}

/** A list of int64. */
export function integers(name: string, values: readonly number[]): TensorProto {
  const int64Data = values.map(BigInt);
  return create(TensorProtoSchema, {
    name,
    dims: [BigInt(values.length)],
    dataType: DataType.INT64,
    int64Data,
  });
}

/** An input or output of float32, [batch, ...shape]. */
export function batchOf(name: string, shape: readonly number[]): ValueInfoProto {
  const sizes = shape.map((size) => ({ value: { case: 'dimValue' as const, value: BigInt(size) } }));
  const dim = [{ value: { case: 'dimParam' as const, value: 'batch' } }, ...sizes];
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: 'tensorType', value: { elemType: DataType.FLOAT, shape: { dim } } } },
  });
}
