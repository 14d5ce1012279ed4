import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

/**
 * ConfigProto of a session (tensorflow/core/protobuf/config.proto): no optimiser rewrites the graph, so that its operations
 * are the recorded ones, and so are their bits.
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
