import { readFileSync } from 'node:fs';

/** Features of a processor that multiplies bfloat16 itself, as Linux names them. */
const features = ['amx_bf16', 'avx512_bf16'];

/** Instruction sets that `ONEDNN_MAX_CPU_ISA` may name, up to which there is no such multiplication. */
const lesser = /^(sse41|avx|avx2|avx2_vnni|avx2_vnni_2|avx512_core|avx512_core_vnni)$/i;

interface Processor {
  /** Text of /proc/cpuinfo; undefined where there is none. */
  information: string | undefined;
  environment: NodeJS.ProcessEnv;
}

/**
 * Why bfloat16 would take longer than float32 on this processor, on which it would be made of float32; undefined where it
 * is faster.
 */
export function obstacleToBf16({ information, environment }: Processor = here()): string | undefined {
  const limit = environment.ONEDNN_MAX_CPU_ISA;
  if (limit !== undefined && lesser.test(limit))
    return `ONEDNN_MAX_CPU_ISA is ${limit}, with which bf16 takes longer than float32`;
  const flags = new Set(/^flags\s*:(.*)$/m.exec(information ?? '')?.[1].split(/\s+/));
  if (features.some((feature) => flags.has(feature))) return undefined;
  return 'this processor has no instructions for bf16 (AMX or AVX-512 BF16), so it takes longer than float32';
}

function here(): Processor {
  let information: string | undefined;
  try {
    information = readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    information = undefined;
  }
  return { information, environment: process.env };
}
