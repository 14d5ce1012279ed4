import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { PodDistError } from '../../util/errors.js';
import type { Peer, PeerOptions, PeerTimes } from './peer.js';

const script = fileURLToPath(new URL('./gloo_allreduce.py', import.meta.url));
const answerWithinMs = 120_000;

/** gloo through PyTorch, where the Python interpreter has it. Its processes wait for work on their standard input. */
export async function findGloo({ workers, python, notify }: PeerOptions): Promise<Peer[]> {
  const folder = mkdtempSync(join(tmpdir(), 'pod-dist-gloo-'));
  const children = Array.from({ length: workers }, (_, rank) =>
    spawn(python, [script, String(rank), String(workers), join(folder, 'store')], {
      stdio: ['pipe', rank === 0 ? 'pipe' : 'ignore', 'ignore'],
    }),
  );
  const close = async () => {
    await Promise.all(children.map(end));
    rmSync(folder, { recursive: true, force: true });
  };
  for (const child of children) {
    child.on('error', () => {});
    child.stdin?.on('error', () => {});
  }
  const lines = createInterface({ input: children[0].stdout as NodeJS.ReadableStream });
  const ended = once(lines, 'close');
  const answer = async (): Promise<unknown> => {
    const timer = setTimeout(() => children[0].kill('SIGKILL'), answerWithinMs);
    const next = new AbortController();
    const line = once(lines, 'line', { signal: next.signal }) as Promise<[string]>;
    line.catch(() => {});
    const first = await Promise.race([line, ended.then(() => undefined)]);
    clearTimeout(timer);
    next.abort();
    if (!first) throw new PodDistError('BENCHMARK_FAILED', 'gloo ended without an answer');
    return JSON.parse(first[0]) as unknown;
  };
  try {
    const { version } = (await answer()) as { version: string };
    const measure: Peer['measure'] = ({ bytes, iterations, warmups }) => {
      for (const { stdin } of children) stdin?.write(`${bytes} ${iterations} ${warmups}\n`);
      return answer() as Promise<PeerTimes>;
    };
    return [{ name: 'gloo', version: `PyTorch ${version}`, measure, close }];
  } catch {
    notify(`PyTorch is not installed for ${python}: gloo not measured`);
    await close();
    return [];
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = once(child, 'exit');
  child.stdin?.end();
  const timer = setTimeout(() => child.kill('SIGKILL'), 3000);
  await exited;
  clearTimeout(timer);
}
