import { describe, expect, it } from 'vitest';
import { threadVariables } from '../../../src/backend/devices/cpu-plan.js';

describe('threadVariables', () => {
  it('keeps variables that are already set', () => {
    const set = { OMP_NUM_THREADS: '1' };
    expect(threadVariables(3, set)).toEqual({ TF_NUM_INTRAOP_THREADS: '3', TF_NUM_INTEROP_THREADS: '1' });
  });
});
