import { messageOf, PodDistError } from '../../errors.js';
import type { Arena } from '../arena.js';
import type { Numbers } from '../communicator.js';
import { callRecord } from '../control.js';
import { loadKernels } from '../kernels/index.js';
import { exchange } from './exchange.js';
import { Messages } from './messages.js';
import type { PipeEnds } from './pipes.js';
import type { CallRecord, DirectCall } from './record.js';
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

/** Blocking all-reduces that the compute threads of one host make by themselves, without the communication threads. */
export class DirectAllReduce {
  private readonly record: CallRecord;

  private constructor(
    private readonly messages: Messages,
    private readonly windows: Windows | undefined,
    private readonly options: DirectOptions,
  ) {
    this.record = callRecord(options.arena.control);
  }

  static async create({ pipes, files }: HostConnections, options: DirectOptions): Promise<DirectAllReduce> {
    const { arena, rank, throwIfFailed } = options;
    const record = callRecord(arena.control);
    const messages = new Messages({ rank, ends: pipes, record, throwIfFailed });
    const kernels = files && (await loadKernels(arena.memory));
    const windows = files && kernels && new Windows(messages, { arena, kernels, files });
    return new DirectAllReduce(messages, windows, options);
  }

  /** Whether it is for values of so many bytes; equal on all ranks. */
  takes(bytes: number): boolean {
    return this.windows !== undefined || this.areFew(bytes);
  }

  run(values: Numbers, call: DirectCall): void {
    const { messages, windows, record } = this;
    const { throwIfFailed, fail } = this.options;
    throwIfFailed();
    record.begin(call);
    messages.begin(call);
    try {
      if (windows && !this.areFew(values.byteLength)) windows.allReduce(values, call.type, call.op);
      else exchange(messages, values, call.op);
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
