import type { BackendHealth } from './backends.js';
import type { Machine } from './machine.js';

/** What would make training work, or faster: each a command or a step, the most useful first. */
export function advise(machine: Machine, backends: readonly BackendHealth[]): string[] {
  const advice: string[] = [];
  const native = backends.find(({ name }) => name === 'native');
  if (machine.gpus.length > 0 && !native?.gpu) {
    advice.push('pod-dist setup --cuda: native TensorFlow on the NVIDIA GPU, the fastest there is here');
  } else if (native && !native.usable) {
    advice.push('pod-dist setup: native TensorFlow, several times faster than wasm');
  }
  for (const { faster } of backends) if (faster !== undefined) advice.push(faster);
  const adapter = machine.adapters.find(({ software }) => !software);
  if (adapter && !native?.gpu) advice.push(`--backend webgpu: trains on ${adapter.name}`);
  if (!machine.zeromq.ok) advice.push('npm ci: several workers need zeromq');
  if (!machine.sharp.ok) advice.push('npm ci --include=optional: image folders need sharp');
  if (machine.memoryGigabytes < 4) advice.push('more memory: a worker takes 0.5 to 2 GB');
  return advice;
}
