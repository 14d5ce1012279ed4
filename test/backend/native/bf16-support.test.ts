import { describe, expect, it } from 'vitest';
import { obstacleToBf16 } from '../../../src/backend/native/bf16-support.js';

const cpu = (flags: string) => `processor\t: 0\nmodel name\t: any\nflags\t\t: fpu ${flags} sse\nbugs\t\t:\n`;

describe('bfloat16 is', () => {
  it.each([
    ['AMX', 'avx512f amx_bf16 amx_tile'],
    ['AVX-512 BF16', 'avx512f avx512_bf16'],
  ])('faster on a processor with %s', (_, flags) => {
    expect(obstacleToBf16({ information: cpu(flags), environment: {} })).toBeUndefined();
  });

  it.each([
    ['without such instructions', cpu('avx2 avx512f avx512_vnni')],
    ['that nothing is known of', undefined],
  ])('refused on a processor %s', (_, information) => {
    expect(obstacleToBf16({ information, environment: {} })).toMatch(/no instructions for bf16/);
  });

  it('refused where oneDNN may not use them', () => {
    const information = cpu('amx_bf16');
    expect(obstacleToBf16({ information, environment: { ONEDNN_MAX_CPU_ISA: 'AVX2' } })).toMatch(
      /ONEDNN_MAX_CPU_ISA is AVX2/,
    );
    const amx = { ONEDNN_MAX_CPU_ISA: 'AVX512_CORE_AMX' };
    expect(obstacleToBf16({ information, environment: amx })).toBeUndefined();
  });
});
