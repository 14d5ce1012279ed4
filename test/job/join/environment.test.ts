import { describe, expect, it } from 'vitest';
import {
  firstHost,
  launchVariables,
  readJobEnvironment,
  refuseTask,
} from '../../../src/job/join/environment.js';
import { UserError } from '../../../src/util/errors.js';

const torchrun = { RANK: '1', WORLD_SIZE: '4', LOCAL_RANK: '0', MASTER_ADDR: 'head', MASTER_PORT: '29500' };
const slurm = {
  SLURM_PROCID: '3',
  SLURM_NTASKS: '8',
  SLURM_LOCALID: '1',
  SLURM_JOB_ID: '77',
  SLURM_STEP_ID: '0',
  SLURM_STEP_NUM_NODES: '2',
  SLURM_STEP_NODELIST: 'n[03-05,9]',
};
const openMpi = {
  OMPI_COMM_WORLD_RANK: '2',
  OMPI_COMM_WORLD_SIZE: '4',
  OMPI_COMM_WORLD_LOCAL_RANK: '2',
  OMPI_COMM_WORLD_LOCAL_SIZE: '4',
};
const mpich = { PMI_RANK: '1', PMI_SIZE: '2', MPI_LOCALRANKID: '1', MPI_LOCALNRANKS: '2' };

describe('readJobEnvironment', () => {
  it('reads the variables of pod-dist launch, and asks for no coordinator', () => {
    const launched = {
      ...torchrun,
      [launchVariables.address]: 'tcp://127.0.0.1:4000',
      [launchVariables.token]: 'secret',
    };
    expect(readJobEnvironment(launched)).toEqual({
      starter: 'pod-dist',
      rank: 1,
      worker: 1,
      worldSize: 4,
      localRank: 0,
      localWorldSize: 4,
      rankVariable: 'RANK',
      host: '127.0.0.1',
      port: 4000,
      token: 'secret',
      job: 'tcp://127.0.0.1:4000',
      ownCoordinator: false,
      outlives: false,
    });
    const replacement = { ...launched, [launchVariables.worker]: '7', [launchVariables.spare]: '1' };
    expect(readJobEnvironment(replacement)).toMatchObject({ rank: -1, worker: 7 });
  });

  it("reads torchrun's variables", () => {
    const place = { starter: 'torchrun', rank: 1, worldSize: 4, localRank: 0, host: 'head', port: 29500 };
    expect(readJobEnvironment(torchrun)).toMatchObject({ ...place, ownCoordinator: true });
  });

  it("takes the port after that of torchrun's store", () => {
    expect(readJobEnvironment({ ...torchrun, TORCHELASTIC_RUN_ID: 'none' }).port).toBe(29501);
  });

  it('understands every spelling of this host, and IPv6 addresses', () => {
    for (const host of ['localhost', '127.0.0.1', '::ffff:127.0.0.1', '127.1'])
      expect(readJobEnvironment({ ...torchrun, MASTER_ADDR: host }).host).toBe('127.0.0.1');
    for (const host of ['::1', '[::1]', '0:0:0:0:0:0:0:1'])
      expect(readJobEnvironment({ ...torchrun, MASTER_ADDR: host }).host).toBe('::1');
    const launched = { ...torchrun, [launchVariables.address]: 'tcp://[fd00::1]:4000' };
    expect(readJobEnvironment(launched)).toMatchObject({ host: 'fd00::1', port: 4000 });
  });

  it('gives all workers of a job the same name, and other jobs other names', () => {
    const { job } = readJobEnvironment(torchrun);
    expect(readJobEnvironment({ ...torchrun, RANK: '3', LOCAL_RANK: '3', SLURM_JOB_ID: '7' }).job).toBe(job);
    const others = [
      { MASTER_PORT: '29501' },
      { MASTER_ADDR: 'head2' },
      { WORLD_SIZE: '5' },
      { MASTER_ADDR: '::1' },
    ];
    for (const other of others) expect(readJobEnvironment({ ...torchrun, ...other }).job).not.toBe(job);
    expect(readJobEnvironment({ ...slurm, SLURM_STEP_ID: '1' }).job).not.toBe(readJobEnvironment(slurm).job);
    expect(readJobEnvironment({ ...slurm, SLURM_PROCID: '0' }).job).toBe(readJobEnvironment(slurm).job);
  });

  it('takes the rank as local rank if LOCAL_RANK is not set', () => {
    expect(readJobEnvironment({ ...torchrun, LOCAL_RANK: undefined }).localRank).toBe(1);
  });

  it('counts the workers of this host, or all workers if no variable tells', () => {
    expect(readJobEnvironment(torchrun).localWorldSize).toBe(4);
    expect(readJobEnvironment({ ...torchrun, LOCAL_WORLD_SIZE: '2' }).localWorldSize).toBe(2);
    for (const nonsense of ['0', '5', 'x']) {
      expect(readJobEnvironment({ ...torchrun, LOCAL_WORLD_SIZE: nonsense }).localWorldSize).toBe(4);
    }
    const nodes = { SLURM_TASKS_PER_NODE: '3(x2),2', SLURM_NODEID: '1' };
    expect(readJobEnvironment({ ...slurm, ...nodes }).localWorldSize).toBe(3);
    expect(readJobEnvironment({ ...slurm, ...nodes, SLURM_NODEID: '2' }).localWorldSize).toBe(2);
    expect(readJobEnvironment({ ...slurm, ...nodes, SLURM_STEP_TASKS_PER_NODE: '4,4' }).localWorldSize).toBe(
      4,
    );
    expect(readJobEnvironment({ ...openMpi, MASTER_ADDR: 'h', MASTER_PORT: '1' }).localWorldSize).toBe(4);
    expect(readJobEnvironment(mpich, 9).localWorldSize).toBe(2);
  });

  it("reads Slurm's variables: local rank, first host, and a port for this job", () => {
    const place = readJobEnvironment(slurm);
    expect(place).toMatchObject({ starter: 'Slurm', rank: 3, worldSize: 8, localRank: 1, host: 'n03' });
    expect(place.hostIsNode).toBe(true);
    expect(readJobEnvironment({ ...slurm, MASTER_ADDR: 'n03' }).hostIsNode).toBeUndefined();
    expect(place.port).toBeGreaterThanOrEqual(20_000);
    expect(place.port).toBeLessThan(40_000);
    expect(readJobEnvironment({ ...slurm, SLURM_PROCID: '0' }).port).toBe(place.port);
    expect(readJobEnvironment({ ...slurm, SLURM_STEP_ID: '1' }).port).not.toBe(place.port);
    expect(readJobEnvironment({ ...slurm, SLURM_JOB_ID: '78' }).port).not.toBe(place.port);
    expect(readJobEnvironment({ ...slurm, SLURM_STEP_NUM_NODES: '1' }).host).toBe('127.0.0.1');
  });

  it("reads Open MPI's variables, without an address on one host", () => {
    const place = readJobEnvironment(openMpi, 500);
    expect(place).toMatchObject({
      starter: 'Open MPI',
      rank: 2,
      worldSize: 4,
      localRank: 2,
      host: '127.0.0.1',
    });
    expect(readJobEnvironment({ ...openMpi, OMPI_COMM_WORLD_RANK: '0' }, 500).port).toBe(place.port);
    expect(readJobEnvironment(openMpi, 501).port).not.toBe(place.port);
    expect(readJobEnvironment({ ...openMpi, MASTER_ADDR: 'h', MASTER_PORT: '5000' })).toMatchObject({
      host: 'h',
      port: 5000,
    });
  });

  it('rejects Open MPI on several hosts without an address', () => {
    const several = { ...openMpi, OMPI_COMM_WORLD_LOCAL_SIZE: '2' };
    expect(() => readJobEnvironment(several)).toThrow(/^MASTER_ADDR is not set/);
    expect(() => readJobEnvironment({ ...several, MASTER_ADDR: '' })).toThrow(/^MASTER_ADDR is not set/);
    expect(() => readJobEnvironment({ ...several, MASTER_ADDR: 'h' })).toThrow(/^MASTER_PORT is not set/);
    expect(readJobEnvironment({ ...several, MASTER_ADDR: 'h', PMIX_NAMESPACE: 'job' }).host).toBe('h');
  });

  it("reads MPICH's variables", () => {
    expect(readJobEnvironment(mpich, 9)).toMatchObject({
      starter: 'MPICH',
      rank: 1,
      worldSize: 2,
      localRank: 1,
    });
  });

  it("distinguishes MPICH's mpirun in a Slurm allocation from srun with MPICH's interface", () => {
    expect(readJobEnvironment({ ...slurm, SLURM_PROCID: '0', ...mpich }).starter).toBe('MPICH');
    expect(readJobEnvironment({ ...slurm, PMI_RANK: '3', PMI_SIZE: '8' })).toMatchObject({
      starter: 'Slurm',
      localRank: 1,
    });
  });

  it('prefers RANK, set by hand, to all other variables', () => {
    expect(readJobEnvironment({ ...slurm, ...openMpi, ...mpich, ...torchrun }).starter).toBe('torchrun');
  });

  const wrong: [Record<string, string | undefined>, RegExp][] = [
    [{}, /^pod-dist worker needs RANK and WORLD_SIZE/],
    [{ ...torchrun, RANK: 'one' }, /^RANK is "one": it must be a whole number from 0 to 65535$/],
    [{ ...torchrun, RANK: '' }, /^RANK is "": /],
    [{ ...torchrun, RANK: '-1' }, /^RANK is "-1": /],
    [{ ...torchrun, RANK: '0x1' }, /^RANK is "0x1": /],
    [{ ...torchrun, RANK: '1\n2' }, /^RANK is "1 2": /],
    [{ ...torchrun, RANK: '4' }, /^RANK is 4, but WORLD_SIZE is 4: ranks go from 0 to 3$/],
    [{ ...torchrun, WORLD_SIZE: undefined }, /^WORLD_SIZE is not set: /],
    [
      { ...torchrun, LOCAL_RANK: '9'.repeat(20) },
      /^LOCAL_RANK is "9+": it must be a whole number from 0 to 65535$/,
    ],
    [{ ...torchrun, WORLD_SIZE: '0' }, /^WORLD_SIZE is "0": it must be a whole number from 1 to 65535$/],
    [{ ...torchrun, LOCAL_RANK: 'x' }, /^LOCAL_RANK is "x": /],
    [{ ...torchrun, MASTER_ADDR: undefined }, /^MASTER_ADDR is not set: /],
    [{ ...torchrun, MASTER_PORT: undefined }, /^MASTER_PORT is not set: /],
    [{ ...torchrun, MASTER_PORT: '0' }, /^MASTER_PORT is "0": it must be a whole number from 1 to 65535$/],
    [{ ...torchrun, MASTER_PORT: '65536' }, /^MASTER_PORT is "65536": /],
    [{ ...torchrun, MASTER_PORT: '65535', TORCHELASTIC_RUN_ID: 'x' }, /^MASTER_PORT is "65535": .*to 65534$/],
    [{ ...torchrun, [launchVariables.address]: 'nonsense' }, /^POD_DIST_ADDRESS is nonsense, not tcp:/],
    [
      { ...slurm, SLURM_NNODES: '2', SLURM_STEP_NODELIST: '', SLURM_JOB_NODELIST: '' },
      /^MASTER_ADDR is not set: /,
    ],
    [{ ...slurm, SLURM_NTASKS: undefined }, /^SLURM_NTASKS is not set: /],
    [{ ...openMpi, OMPI_COMM_WORLD_RANK: '9' }, /^OMPI_COMM_WORLD_RANK is 9, but OMPI_COMM_WORLD_SIZE is 4/],
  ];

  it.each(wrong)('rejects %j', (environment, message) => {
    const read = () => readJobEnvironment(environment);
    expect(read).toThrow(UserError);
    expect(read).toThrow(message);
  });
});

describe('firstHost', () => {
  it.each([
    ['node7', 'node7'],
    ['node7,node9', 'node7'],
    ['n[03-05,9],m1', 'n03'],
    ['n[5,7]', 'n5'],
    ['rack[1-2]-ib', 'rack1-ib'],
    ['a.b-c[010-012]', 'a.b-c010'],
  ])('gives for %s the host %s', (nodes, host) => {
    expect(firstHost(nodes)).toBe(host);
  });
});

describe('refuseTask', () => {
  it.each([
    ['torchrun', torchrun],
    ['Open MPI', openMpi],
    ['MPICH', mpich],
    ['Slurm', { ...slurm, SLURM_STEP_NUM_TASKS: '8' }],
  ])('rejects a whole job in each task of %s', (starter, environment) => {
    const refuse = () => refuseTask(environment);
    expect(refuse).toThrow(UserError);
    expect(refuse).toThrow(new RegExp(`one of \\d tasks that ${starter} .* pod-dist worker, or unset \\w+$`));
  });

  it.each([
    ['no starter', {}],
    ['a script of sbatch', { SLURM_PROCID: '0', SLURM_NTASKS: '8', SLURM_JOB_ID: '77' }],
    ['a step of one task', { ...slurm, SLURM_STEP_NUM_TASKS: '1' }],
    ['one task of torchrun', { ...torchrun, RANK: '0', WORLD_SIZE: '1' }],
  ])('accepts %s', (_, environment) => {
    expect(refuseTask(environment)).toBeUndefined();
  });
});
