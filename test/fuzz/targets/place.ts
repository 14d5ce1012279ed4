import fc from 'fast-check';
import { readJobEnvironment } from '../../../src/job/join/environment.js';
import { Broken, type Target } from '../judge.js';

const names = [
  'RANK',
  'WORLD_SIZE',
  'LOCAL_RANK',
  'LOCAL_WORLD_SIZE',
  'MASTER_ADDR',
  'MASTER_PORT',
  'TORCHELASTIC_RUN_ID',
  'OMPI_COMM_WORLD_RANK',
  'OMPI_COMM_WORLD_SIZE',
  'OMPI_COMM_WORLD_LOCAL_RANK',
  'OMPI_COMM_WORLD_LOCAL_SIZE',
  'PMIX_NAMESPACE',
  'PMI_RANK',
  'PMI_SIZE',
  'MPI_LOCALRANKID',
  'MPI_LOCALNRANKS',
  'SLURM_PROCID',
  'SLURM_NTASKS',
  'SLURM_LOCALID',
  'SLURM_NODEID',
  'SLURM_JOB_ID',
  'SLURM_STEP_ID',
  'SLURM_NNODES',
  'SLURM_STEP_NUM_NODES',
  'SLURM_STEP_NODELIST',
  'SLURM_JOB_NODELIST',
  'SLURM_TASKS_PER_NODE',
  'SLURM_STEP_TASKS_PER_NODE',
  'POD_DIST_ADDRESS',
  'POD_DIST_TOKEN',
];

/** Complete variables of each starter. */
const whole: Record<string, string>[] = [
  {
    RANK: '1',
    WORLD_SIZE: '4',
    LOCAL_RANK: '1',
    MASTER_ADDR: 'n1',
    MASTER_PORT: '29500',
    TORCHELASTIC_RUN_ID: 'x',
  },
  {
    OMPI_COMM_WORLD_RANK: '1',
    OMPI_COMM_WORLD_SIZE: '2',
    OMPI_COMM_WORLD_LOCAL_SIZE: '2',
    PMIX_NAMESPACE: '77',
  },
  { PMI_RANK: '0', PMI_SIZE: '2', MPI_LOCALRANKID: '0', MPI_LOCALNRANKS: '2' },
  {
    SLURM_PROCID: '3',
    SLURM_NTASKS: '8',
    SLURM_LOCALID: '1',
    SLURM_NODEID: '1',
    SLURM_JOB_ID: '12',
    SLURM_STEP_NODELIST: 'n[03-05,9],m1',
    SLURM_STEP_TASKS_PER_NODE: '2(x3),1',
  },
  { RANK: '0', WORLD_SIZE: '2', POD_DIST_ADDRESS: 'tcp://127.0.0.1:2950', POD_DIST_TOKEN: 'secret' },
];

const values = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('0', '1', '2', '3', '4') },
  fc.constantFrom(
    '',
    '-1',
    '1e3',
    '0x2',
    '65535',
    '65536',
    '99999999999999999999',
    ' 1 ',
    '1\n2',
    'NaN',
    'many',
  ),
  fc.constantFrom(
    'localhost',
    '127.0.0.1',
    '::1',
    '[::1]',
    'n[03-05,9],m1',
    'n[',
    '2(x3),1',
    '9999999999(x9999999999)',
  ),
  fc.constantFrom('tcp://127.0.0.1:2950', 'tcp://[::1]:1', 'tcp://:0', 'http://x:1', '`id`', '\u001b[31m'),
  fc.string({ maxLength: 40 }),
);

/** Variables of torchrun, Slurm, Open MPI and MPICH, incomplete and contradictory. */
export const place: Target<Record<string, string>> = {
  name: 'place',
  codes: ['ENVIRONMENT_INVALID'],
  inputs: fc
    .tuple(fc.constantFrom({}, ...whole), fc.dictionary(fc.constantFrom(...names), values, { maxKeys: 4 }))
    .map(([set, changes]): Record<string, string> => ({ ...set, ...changes })),
  read(environment) {
    const { rank, worldSize, localRank, localWorldSize, port, host } = readJobEnvironment(environment, 1);
    const numbers = [rank, worldSize, localRank, localWorldSize, port].every(Number.isSafeInteger);
    if (!numbers || rank < 0 || rank >= worldSize || localRank < 0 || localWorldSize < 1)
      throw new Broken(`rank ${rank} of ${worldSize}, ${localRank} of ${localWorldSize} here`);
    if (port < 1 || port > 65_535 || host === '') throw new Broken(`host '${host}', port ${port}`);
  },
};
