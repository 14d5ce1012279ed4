import { join } from 'node:path';
import type * as zmq from 'zeromq';
import { PodDistError } from '../../util/errors.js';
import { PairTransport, type PairOptions, type Way } from './pair-transport.js';

/** Linux gives a Unix socket 208 KiB, in which a large message goes back and forth between two threads. */
const bufferBytes = 2 ** 20;

/** Endpoint of every rank: both ends know the path, and none is taken from a peer. */
const sameHost = 'ipc';

/** ZeroMQ over Unix sockets in a folder of mode 0700, which keeps other users out. */
export class IpcTransport extends PairTransport {
  readonly name = 'ipc';
  readonly strangers = 0;

  constructor(
    options: PairOptions,
    private readonly directory: string,
  ) {
    super(options);
  }

  protected socketOptions(): zmq.SocketOptions<zmq.Pair> {
    return { sendBufferSize: bufferBytes };
  }

  protected async listen(socket: zmq.Pair, way: Way): Promise<string> {
    await socket.bind(this.pathOf(way));
    return sameHost;
  }

  protected addressOf(way: Way, endpoint = 'nowhere'): string {
    if (endpoint === sameHost) return this.pathOf(way);
    throw new PodDistError(
      'MESH_FAILED',
      `rank ${this.options.rank} expects rank ${way.peer} within the host, but it listens at ${endpoint.slice(0, 100)}: give distributed.transport=tcp`,
    );
  }

  private pathOf({ name }: Way): string {
    return `ipc://${join(this.directory, name)}`;
  }
}
