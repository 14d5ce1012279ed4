import type { ArgumentsCamelCase } from 'yargs';
import { fileURLToPath } from 'node:url';
import { slurmScript } from '../../src/launching/cluster/slurm-script.js';
import { readJobFlags, type JobFlags } from '../job-flags.js';

export interface SbatchArguments extends JobFlags {
  nodes: number;
  gpusPerNode?: number;
  cpusPerTask?: number;
  time: string;
  array?: string;
  partition?: string;
  account?: string;
}

export async function sbatch(args: ArgumentsCamelCase<SbatchArguments>): Promise<void> {
  const { name, workers, worker, out } = await readJobFlags(args);
  const cli = fileURLToPath(new URL('../cli.js', import.meta.url));
  const { nodes, gpusPerNode, cpusPerTask, time, array, partition, account, grace } = args;
  const script = slurmScript({
    ...{ name, nodes, gpusPerNode, workersPerNode: workers, cpusPerWorker: cpusPerTask },
    ...{ time, array, partition, account, graceSeconds: grace },
    command: [process.execPath, cli, 'worker', ...worker, '--out', out ?? `runs/${name}`],
  });
  process.stdout.write(script);
}
