import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, describe, expect, it } from 'vitest';
import { cli, Workplace } from '../integration/command.js';

/**
 * A Python program that runs a command on a terminal, closes the terminal once the command has trained an epoch, sends
 * the command a signal if one is given, and prints how the command ended.
 */
const onTerminal = `
import os, pty, select, signal, sys, time
hangup, last, metrics = sys.argv[1], sys.argv[2], sys.argv[3]
signal.signal(signal.SIGHUP, signal.SIG_IGN if hangup == 'ignored' else signal.SIG_DFL)
child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[4], sys.argv[4:])
def trained():
    return os.path.exists(metrics) and '"kind":"epoch"' in open(metrics).read()
until = time.time() + 60
while time.time() < until and not trained():
    if select.select([terminal], [], [], 0.05)[0]:
        os.read(terminal, 65536)
os.close(terminal)
time.sleep(1)
if last:
    os.kill(child, getattr(signal, last))
_, status = os.waitpid(child, 0)
print('signal' if os.WIFSIGNALED(status) else 'exit', os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))
`;
import { needs } from '../needs.js';

function hasPython(): boolean {
  try {
    execFileSync('python3', ['-c', 'import pty']);
    return true;
  } catch {
    return false;
  }
}

describe('a run whose terminal is closed', needs('Python', hasPython()), () => {
  const place = new Workplace();
  afterAll(() => place.clear());

  it.each([
    ['stops in order', 1, 'obeyed', '', 129],
    ['stops in order', 2, 'obeyed', '', 129],
    ['continues if SIGHUP is ignored, and ends on SIGTERM', 2, 'ignored', 'SIGTERM', 75],
  ])('%s: %i workers', async (_what, workers, hangup, last, code) => {
    const run = `run-${workers}-${hangup}`;
    const launch = ['launch', '-n', String(workers), '--backend', 'wasm', '--epochs', '5000', '--out', run];
    const child = spawn(
      'python3',
      ['-c', onTerminal, hangup, last, `${run}/metrics.jsonl`, process.execPath, cli, ...launch],
      {
        cwd: place.folder,
        env: { ...process.env, TMPDIR: place.temporary },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let ended = '';
    child.stdout.on('data', (text: Buffer) => (ended += text.toString()));
    await once(child, 'close');
    expect(ended).toBe(`exit ${code}\n`);
    expect(place.checkpoints(run).length).toBeGreaterThan(0);
    expect(place.leftovers()).toEqual([]);
  });
});
