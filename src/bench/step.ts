import { execFile, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { PodDistError, UserError, messageOf } from '../util/errors.js';
import { backendOf } from '../backend/backends.js';
import type { KernelTime } from '../backend/profile.js';
import type { StepMeasurement } from './measure-step.js';
import type { StepAnswer, StepTask } from './step-process.js';

/** One system's training step. */
export interface StepRow extends Omit<StepMeasurement, 'loss' | 'steps'> {
  system: string;
  model: string;
  backend: string;
  threads: number;
  /** The costliest kernels, as times a step, where a profile was wanted. */
  kernels?: KernelTime[];
}

export interface StepBenchmark extends StepTask {
  threads: number;
  /** Environment of the measuring process, in addition to this one's. */
  environment: Readonly<Record<string, string>>;
}

const deadlineMs = 180_000;

/**
 * Measures training steps in a process of its own, with a worker's environment.
 *
 * @throws UserError where the backend or model cannot run here, `BENCHMARK_FAILED` where the process ends early
 */
export async function benchmarkStep(benchmark: StepBenchmark): Promise<StepRow> {
  const { threads, environment, ...task } = benchmark;
  const script = fileURLToPath(new URL('./step-process.js', import.meta.url));
  const child = fork(script, [], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), deadlineMs);
  try {
    const answer = await new Promise<StepAnswer>((resolve, reject) => {
      child.once('message', resolve);
      child.once('error', reject);
      child.once('exit', (code, signal) =>
        reject(new PodDistError('BENCHMARK_FAILED', `the measuring process ended early (${signal ?? code})`)),
      );
      child.send(task);
    });
    if (answer.kind === 'failed') throw new UserError(answer.code, answer.message);
    const { backend, device, kernels } = answer;
    const narrow = task.precision === 'bf16' ? ', bf16' : '';
    const singly = task.capture === 'off' ? ', operation by operation' : '';
    const system = `pod-dist, ${backend} on ${device}${narrow}${singly}`;
    const { loss: _loss, steps: _steps, ...times } = answer.step;
    const used = backendOf(backend).threaded ? threads : 1;
    return { system, model: task.model.name, backend, threads: used, ...times, kernels };
  } finally {
    clearTimeout(timer);
  }
}

type TorchBenchmark = Pick<StepBenchmark, 'model' | 'batch' | 'steps' | 'precision' | 'threads'>;

/**
 * Measures the same step in PyTorch eager on the CPU, under autocast for bf16. Where that is not installed, returns undefined and calls
 * `notify` with the reason.
 */
export async function benchmarkTorch(
  { model, batch, steps = 20, precision = 'float32', threads }: TorchBenchmark,
  python: string,
  notify: (line: string) => void,
): Promise<StepRow | undefined> {
  const script = fileURLToPath(new URL('./peers/torch_step.py', import.meta.url));
  try {
    const args = [script, model.name, String(batch), String(threads), String(steps), precision];
    const { stdout } = await promisify(execFile)(python, args, { timeout: deadlineMs });
    const { version, ...times } = JSON.parse(stdout) as { version: string } & Omit<StepMeasurement, 'loss'>;
    const narrow = precision === 'bf16' ? ', bf16 autocast' : '';
    const system = `PyTorch ${version}, eager, channels last${narrow}`;
    return { system, model: model.name, ...times, batch, waitMs: 0, backend: 'torch', threads };
  } catch (error) {
    notify(`PyTorch is left out: ${messageOf(error).split('Traceback')[0]}`);
    return undefined;
  }
}
