import type { Argv, CommandModule } from 'yargs';
import { kubernetesKinds } from '../../src/launching/cluster/kubernetes.js';
import type { KubernetesArguments } from '../actions/k8s.js';
import { moduleFlags, recipeFlags, runFlags } from '../flags.js';
import { summaries } from '../summaries.js';

const text = (describe: string) => ({ type: 'string', requiresArg: true, describe }) as const;

export const k8sCommand: CommandModule<object, KubernetesArguments> = {
  command: 'k8s',
  describe: summaries.k8s,
  builder: (yargs) =>
    (yargs.options({ ...recipeFlags(), ...runFlags, ...moduleFlags }) as Argv<KubernetesArguments>)
      .option('kind', {
        choices: [...kubernetesKinds, 'dockerfile'] as const,
        default: 'job' as const,
        describe: "an Indexed Job, a JobSet, a PyTorchJob of Kubeflow's Training Operator; or a Dockerfile",
      })
      .option('replicas', { type: 'number', default: 1, requiresArg: true, describe: 'pods' })
      .option('gpus', { type: 'number', requiresArg: true, describe: 'GPUs of each pod, a worker each' })
      .option('name', text('name of the job (default: that of the recipe)'))
      .option('image', text('image with pod-dist as its entry point (default: pod-dist)'))
      .option(
        'volume',
        text('PersistentVolumeClaim for data and runs, which all pods can write to, at /volume'),
      )
      .option('cpu', { ...text('cores of each pod'), default: '4' })
      .option('memory', { ...text('memory of each pod'), default: '16Gi' })
      .option('shm', {
        ...text('memory of /dev/shm, through which workers of a pod exchange values'),
        default: '2Gi',
      })
      .example(
        '$0 k8s --replicas 4 --gpus 1 --image faces:1 --volume data --config faces.yaml | kubectl apply -f -',
        'four pods with a GPU each; --workers are those of each pod without GPUs',
      ) as Argv<KubernetesArguments>,
  handler: async (args) => (await import('../actions/k8s.js')).k8s(args),
};
