import { describe, expect, it } from 'vitest';
import { slurmScript, type SlurmRequest } from '../../../src/launching/cluster/slurm-script.js';

const request: SlurmRequest = {
  ...{ name: 'faces', nodes: 4, gpusPerNode: 8, workersPerNode: 1, time: '12:00:00', graceSeconds: 90 },
  command: ['/opt/my node/node', 'cli.js', 'worker', '--set', "name=it's"],
};

describe('slurmScript', () => {
  it('asks for one worker per GPU, and for SIGUSR1 before the grace and the time end', () => {
    const lines = slurmScript(request).split('\n');
    expect(lines).toEqual(
      expect.arrayContaining(
        [
          'nodes=4',
          'ntasks-per-node=8',
          'gpus-per-node=8',
          'time=12:00:00',
          'requeue',
          'signal=USR1@120',
        ].map((setting) => `#SBATCH --${setting}`),
      ),
    );
    expect(lines).toContain(`srun '/opt/my node/node' cli.js worker --set 'name=it'\\''s'`);
  });

  it.each([
    [{ time: '12h' }, /--time 12h: give a time/],
    [{ array: '1;true' }, /--array 1;true: give tasks/],
    [{ partition: 'a b' }, /--partition a b: give the name/],
  ])('rejects %j', (more, message) => {
    expect(() => slurmScript({ ...request, ...more })).toThrow(message);
  });
});
