import { describe, expect, it } from 'vitest';
import { obstacleToBf16 } from '../../../src/backend/native/bf16-support.js';

const cpu = (flags: string) => `processor\t: 0\nmodel name\t: any\nflags\t\t: fpu ${flags} sse\nbugs\t\t:\n`;

describe('obstacleToBf16', () => {
  it.each([
    ['AMX', 'avx512f amx_bf16 amx_tile'],
    ['AVX-512 BF16', 'avx512f avx512_bf16'],
  ])('finds none on a processor with %s', (_, flags) => {
    expect(obstacleToBf16({ information: cpu(flags), environment: {} })).toBeUndefined();
  });

  it.each([
    ['without bf16 instructions', cpu('avx2 avx512f avx512_vnni')],
    ['that is unknown', undefined],
  ])('finds one on a processor %s', (_, information) => {
    expect(obstacleToBf16({ information, environment: {} })).toMatch(/no instructions for bf16/);
  });

  it('finds one if ONEDNN_MAX_CPU_ISA excludes bf16', () => {
    const information = cpu('amx_bf16');
    expect(obstacleToBf16({ information, environment: { ONEDNN_MAX_CPU_ISA: 'AVX2' } })).toMatch(
      /ONEDNN_MAX_CPU_ISA is AVX2/,
    );
    const amx = { ONEDNN_MAX_CPU_ISA: 'AVX512_CORE_AMX' };
    expect(obstacleToBf16({ information, environment: amx })).toBeUndefined();
  });
});
