/** A tensor that is fed to a run, or fetched from it: slot -1 is an array of the caller's, others stay in the graph. */
export interface Fetch {
  /** `node:output` */
  name: string;
  slot: number;
}

export interface Feed extends Fetch {
  type: number;
  shape: readonly number[];
}

/** Exports of the module that set-up compiles: graphs of TensorFlow's (`operations/graph.cc`). */
export interface GraphAddon {
  /** From a GraphDef and a ConfigProto. */
  createGraph(definition: Uint8Array, config: Uint8Array): object;
  /** One run of a part of the graph; `ends` are the slots that nobody reads after it. */
  prepare(graph: object, feeds: readonly Feed[], fetches: readonly Fetch[], ends: readonly number[]): object;
  /** Frees the memory of a graph; no segment of it can run any more. */
  release(graph: object): void;
  /** Copies `values` in and results out, both in the order of feeds and fetches with slot -1. */
  execute(segment: object, values: readonly ArrayBufferView[], results: readonly ArrayBufferView[]): void;
  /** The same; returns a RunMetadata. */
  trace(segment: object, values: readonly ArrayBufferView[], results: readonly ArrayBufferView[]): Uint8Array;
}
