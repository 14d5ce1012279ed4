import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { UserError, messageOf } from '../../util/errors.js';
import { Program } from '../peers/program.js';

/** A switch in user space that keeps every packet between some network interfaces back for a time (`delay-relay.c`). */
export class DelayRelay {
  private constructor(
    private readonly program: Program,
    private readonly child: ChildProcess,
  ) {}

  /**
   * Compiles and starts it; it ends with this process.
   *
   * @throws UserError `LINK_UNAVAILABLE` without a C compiler, or where packets cannot be had
   */
  static async start(delayMs: number, interfaces: readonly string[]): Promise<DelayRelay> {
    let program: Program;
    try {
      program = await Program.compile('cc', '../relay/delay-relay.c');
    } catch (error) {
      throw unavailable(`a C compiler (cc) to build a relay with: ${messageOf(error).split('\n')[0]}`);
    }
    const child = spawn(program.path, [String(delayMs * 1000), ...interfaces], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const [line] = (await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])) as unknown[];
    if (!(line instanceof Buffer)) {
      program.remove();
      throw unavailable(`packet sockets, and the relay has ended with ${String(line)}`);
    }
    child.unref();
    (child.stdin as unknown as { unref?(): void }).unref?.();
    (child.stdout as unknown as { unref?(): void }).unref?.();
    return new DelayRelay(program, child);
  }

  close(): void {
    this.child.kill();
    this.program.remove();
  }
}

function unavailable(what: string): UserError {
  return new UserError(
    'LINK_UNAVAILABLE',
    `cannot delay packets: this kernel has no netem; it takes ${what}`,
  );
}
