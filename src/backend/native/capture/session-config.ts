import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/**
 * ConfigProto of a session (tensorflow/core/protobuf/config.proto): without Grappler, which rewrites operations into others.
 * What TensorFlow still does, folding constants and computing equal operations once, runs the recorded kernels.
 */
export function sessionConfig(): Uint8Array {
  const config = new BinaryWriter();
  const graphOptions = config.tag(10, WireType.LengthDelimited).fork();
  const rewriteOptions = graphOptions.tag(10, WireType.LengthDelimited).fork();
  rewriteOptions.tag(19, WireType.Varint).bool(true);
  rewriteOptions.join();
  graphOptions.join();
  return config.finish();
}
