/** One measurement of a peer: the slowest rank's milliseconds of each iteration, and wrong elements over all ranks. */
export interface PeerTimes {
  times: number[];
  errors: number;
}

/** Another system's all-reduce, ready to be measured. */
export interface Peer {
  /** Name, such as `Open MPI shm`. */
  readonly name: string;
  readonly version: string;
  measure(run: { bytes: number; iterations: number; warmups: number }): Promise<PeerTimes>;
  close(): Promise<void>;
}

export interface PeerOptions {
  workers: number;
  /** Python interpreter to look for PyTorch in. */
  python: string;
  /** Called with a line for each peer that is not installed here. */
  notify(line: string): void;
}
