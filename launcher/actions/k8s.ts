import type { ArgumentsCamelCase } from 'yargs';
import { dockerfile } from '../../src/launching/cluster/dockerfile.js';
import {
  kubernetesManifests,
  volumeFolder,
  type KubernetesRequest,
} from '../../src/launching/cluster/kubernetes.js';
import { UserError } from '../../src/util/errors.js';
import { readJobFlags, type JobFlags } from '../job-flags.js';
import { version } from '../version.js';

export interface KubernetesArguments extends JobFlags {
  kind: KubernetesRequest['kind'] | 'dockerfile';
  replicas: number;
  gpus?: number;
  name?: string;
  image?: string;
  volume?: string;
  cpu: string;
  memory: string;
  shm: string;
}

export async function k8s(args: ArgumentsCamelCase<KubernetesArguments>): Promise<void> {
  const { kind, replicas, gpus, image = 'pod-dist', volume, cpu, memory, shm, grace } = args;
  if (kind === 'dockerfile') return void process.stdout.write(dockerfile(version()));
  if (volume === undefined)
    throw new UserError(
      'USAGE',
      '--volume is missing: name a PersistentVolumeClaim that all pods can write to',
    );
  for (const [flag, count] of Object.entries({ replicas, gpus: gpus ?? 1 }))
    if (!(Number.isInteger(count) && count > 0))
      throw new UserError('USAGE', `--${flag} ${count}: give a whole number`);
  const job = await readJobFlags(args);
  const name = args.name ?? job.name.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  const out = args.out ?? `${volumeFolder}/runs/${name}`;
  const place = { replicas, gpus, workers: job.workers, cpu, memory, sharedMemory: shm, graceSeconds: grace };
  process.stdout.write(
    kubernetesManifests({ kind, name, image, volume, ...place, args: [...job.worker, '--out', out] }),
  );
}
