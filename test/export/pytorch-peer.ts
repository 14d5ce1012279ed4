import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { channelsFirst, rowsOf } from './trained.js';

const python = process.env.POD_DIST_PYTHON ?? 'python3';
const script = fileURLToPath(new URL('fixtures/score.py', import.meta.url));
const deadlineMs = 60_000;

/** Whether Python on this machine (`POD_DIST_PYTHON`, else python3) has PyTorch and safetensors. */
export function hasPytorch(): boolean {
  return spawnSync(python, ['-c', 'import torch, safetensors']).status === 0;
}

/** A Python process that computes scores of exported folders. */
export class PytorchPeer {
  private readonly child = spawn(python, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  private readonly lines = createInterface({ input: this.child.stdout });

  /** Scores of images [b, height, width, channels], a row for each image. */
  async scores(
    folder: string,
    images: Float32Array,
    shape: readonly [number, number, number, number],
  ): Promise<number[][]> {
    writeFileSync(join(folder, 'images.f32'), Buffer.from(channelsFirst(images, shape).buffer));
    const answer = once(this.lines, 'line', { signal: AbortSignal.timeout(deadlineMs) });
    this.child.stdin.write(`${folder}\n`);
    const [line] = (await answer) as [string];
    const { error } = JSON.parse(line) as { error?: string };
    if (error !== undefined) throw new Error(error);
    const bytes = readFileSync(join(folder, 'scores.f32'));
    const scores = new Float32Array(new Uint8Array(bytes).buffer);
    return rowsOf(scores, scores.length / shape[0]);
  }

  async close(): Promise<void> {
    const ended = once(this.child, 'close', { signal: AbortSignal.timeout(deadlineMs) });
    this.child.stdin.end();
    await ended;
  }
}
