import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { devicesOf, type BackendName } from '../../src/backend/backends.js';
import { availableCores } from '../../src/util/cores.js';
import type { Bf16Speed, ProbeMessage } from './probe.js';

/** Findings about a backend, and its measured speed. */
export interface BackendHealth {
  name: BackendName;
  usable: boolean;
  /** Why it is not usable, and what to do. */
  reason?: string;
  device?: string;
  gpu?: boolean;
  /** Command that would make it faster here, and why. */
  faster?: string;
  /** Speed of a matrix product, in 10^9 floating-point operations a second. */
  gflops?: number;
  /** Speed of training steps of the small CNN on 32x32x3 images. */
  imagesPerSecond?: number;
  /** The same in bf16; absent where the backend computes in float32 alone. */
  bf16?: Bf16Speed;
  /** Images in a step of that measurement: 64, or 1 where the backend is too slow for 64. */
  batch?: number;
}

/** Milliseconds that one backend may take to start and be measured. */
const deadlineMs = 120_000;
const firstNewsMs = 2000;
const newsEveryMs = 5000;

/**
 * Starts a backend in a process of its own, with the environment that a worker would get, and measures it. The process
 * is ended at the deadline. `onNews` is called with the stage that it has reached, as one line, from two seconds on.
 */
export async function examineBackend(
  name: BackendName,
  onNews: (line: string) => void,
): Promise<BackendHealth> {
  const script = fileURLToPath(new URL('./probe.js', import.meta.url));
  const environment = await devicesOf(name).alone(availableCores());
  const child = fork(script, [name], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
  const started = performance.now();
  let stage = 'starting';
  let heard: BackendHealth | undefined;
  let errors = '';
  child.stderr?.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-4000)));
  child.on('message', (message: ProbeMessage) => {
    if (message.kind === 'stage') stage = message.stage;
    else heard = healthOf(name, message);
  });
  let next = firstNewsMs;
  const timer = setInterval(() => {
    const elapsed = performance.now() - started;
    if (elapsed > deadlineMs) child.kill('SIGKILL');
    if (elapsed < next) return;
    next = elapsed + newsEveryMs;
    onNews(`${name}: ${stage}, ${(elapsed / 1000).toFixed(0)} s`);
  }, 250);
  try {
    const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve([code, signal]));
    });
    if (heard) return heard;
    const late = performance.now() - started > deadlineMs;
    const ended = signal === null ? `exit code ${code}` : signal;
    const last = errors.trim().split('\n').pop();
    const reason = late
      ? `no answer within ${deadlineMs / 1000} s while ${stage}`
      : `its process ended with ${ended} while ${stage}${last ? `: ${last}` : ''}`;
    return { name, usable: false, reason };
  } finally {
    clearInterval(timer);
  }
}

function healthOf(name: BackendName, message: Exclude<ProbeMessage, { kind: 'stage' }>): BackendHealth {
  if (message.kind === 'failed') return { name, usable: false, reason: message.message };
  const { device, gpu, faster, gflops, step, bf16 } = message;
  return {
    name,
    usable: true,
    device,
    gpu,
    faster,
    gflops,
    imagesPerSecond: step.imagesPerSecond,
    batch: step.batch,
    bf16,
  };
}
