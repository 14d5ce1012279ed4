import { messageOf, PodDistError } from '../../util/errors.js';
import type { Arena } from '../arena.js';
import type { Numbers } from '../communicator.js';
import { callRecord } from '../control.js';
import { loadKernels, type Kernels } from '../kernels/index.js';
import { siblings } from '../pairwise.js';
import { exchange } from './exchange.js';
import { Messages } from './messages.js';
import type { PipeEnds } from './pipes.js';
import type { CallRecord, DirectCall, DirectKind } from './record.js';
import { Windows } from './windows.js';

/** What connects the compute threads of one host: file descriptors of this process. */
export interface HostConnections {
  pipes: PipeEnds;
  /** Every rank's shared file; none where there is no room for them. */
  files?: readonly number[];
}

interface DirectOptions {
  arena: Arena;
  rank: number;
  /** Values of which a rank writes at most this much travel in messages. */
  pipeBytes: number;
  /** Throws where the engine has failed. */
  throwIfFailed(): void;
  /** Fails the engine: all later calls, on this rank, throw the error. */
  fail(error: PodDistError): void;
}

/** Blocking collectives that the compute threads of one host make by themselves, without the communication threads. */
export class DirectCollectives {
  private readonly record: CallRecord;
  private readonly groups: readonly (readonly number[])[];

  private constructor(
    private readonly messages: Messages,
    private readonly options: DirectOptions,
    private readonly kernels: Kernels | undefined,
    private readonly windows: Windows | undefined,
  ) {
    this.record = callRecord(options.arena.control);
    this.groups = siblings(messages.rank, messages.worldSize);
  }

  static async create({ pipes, files }: HostConnections, options: DirectOptions): Promise<DirectCollectives> {
    const { arena, rank, throwIfFailed } = options;
    const record = callRecord(arena.control);
    const messages = new Messages({ rank, ends: pipes, record, throwIfFailed });
    const kernels = files && (await loadKernels(arena.memory));
    const windows = files && kernels && new Windows(messages, { arena, kernels, files });
    return new DirectCollectives(messages, options, kernels, windows);
  }

  /** Whether it makes such a call with values of so many bytes; equal on all ranks. */
  takes(kind: DirectKind, bytes: number): boolean {
    return this.windows !== undefined || (kind === 'allReduce' && this.areFew(bytes));
  }

  /** Makes the calls of a kernel program; only where it `takes` all-gathers, which bring programs along. */
  runProgram(offset: number): void {
    (this.kernels as Kernels).run(offset);
  }

  /** @param offsets of the parts of an all-gather */
  run(values: Numbers, call: DirectCall, offsets?: readonly number[]): void {
    const { messages, windows, record } = this;
    const { throwIfFailed, fail } = this.options;
    throwIfFailed();
    record.begin(call);
    messages.begin(call);
    try {
      const { kind, type, op } = call;
      if (!windows || (kind === 'allReduce' && this.areFew(values.byteLength)))
        exchange(messages, this.groups, values, op);
      else if (kind === 'allReduce') windows.allReduce(values, type, op);
      else if (kind === 'reduceScatter') windows.reduceScatter(values, type, op);
      else windows.allGather(values, offsets);
    } catch (error) {
      const known =
        error instanceof PodDistError
          ? error
          : new PodDistError('COLLECTIVE_FAILED', messageOf(error), { cause: error });
      fail(known);
      throw known;
    } finally {
      record.end();
    }
  }

  private areFew(bytes: number): boolean {
    return (this.messages.worldSize - 1) * bytes <= this.options.pipeBytes;
  }
}
