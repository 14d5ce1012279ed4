import { stringify } from 'yaml';
import { UserError } from '../../util/errors.js';

export const kubernetesKinds = ['job', 'jobset', 'trainer'] as const;

export interface KubernetesRequest {
  kind: (typeof kubernetesKinds)[number];
  name: string;
  /** Pods. */
  replicas: number;
  /** GPUs of each pod, a worker each. */
  gpus?: number;
  /** Workers of each pod, where there are no GPUs. */
  workers: number;
  image: string;
  /** Claim of a volume that all pods may write to at once. */
  volume: string;
  cpu: string;
  memory: string;
  /** Size of the memory that the workers of a pod share. */
  sharedMemory: string;
  /** Seconds that an end in order may take. */
  graceSeconds: number;
  /** Arguments of `pod-dist launch`, but for those of the place. */
  args: readonly string[];
}

type Manifest = Record<string, unknown>;

/** Folders of a pod. */
export const volumeFolder = '/volume';
const secretFolder = '/run/secrets/pod-dist';

const port = 29_500;
/** The user `node` of Node's images. */
const user = 1000;
/** Seconds between the end of the grace and SIGKILL. */
const marginSeconds = 30;
/** Exit codes: a mistake in the input, and an end in order that is to go on. */
const [mistake, preempted] = [2, 75];
/** Times that a pod may fail. */
const triesEach = 5;

const names = /^[a-z](?:[-a-z0-9]{0,48}[a-z0-9])?$/;
const quantities = /^\d+(?:\.\d+)?(?:m|[kMGTP]i?|Ki)?$/;

/**
 * Manifests of a job on Kubernetes, as YAML: each pod runs `pod-dist launch` as one host of it, and finds its number in the
 * index of the Job, or in what the operator sets.
 *
 * - `job`: an Indexed Job, with a headless service that gives its pods names.
 * - `jobset`: a JobSet, which starts all pods again together where one has failed.
 * - `trainer`: a PyTorchJob of Kubeflow's Training Operator.
 *
 * A pod that ends with 75 counts as no failure and is started again, and so is one that the cluster evicts; one that ends with
 * 2, for a mistake in the input, ends the job.
 *
 * @throws UserError `USAGE`
 */
export function kubernetesManifests(request: KubernetesRequest): string {
  refuse('--name', request.name, names, 'up to 50 small letters, digits and dashes, a letter first');
  refuse('--volume', request.volume, /^[a-z0-9][-a-z0-9.]*$/, 'the name of a PersistentVolumeClaim');
  refuse('--image', request.image, /^\S+$/, 'the name of an image');
  for (const [flag, value] of [
    ['cpu', request.cpu],
    ['memory', request.memory],
    ['shm', request.sharedMemory],
  ] as const)
    refuse(`--${flag}`, value, quantities, 'a quantity such as 4 or 16Gi');
  const manifests = { job: indexedJob, jobset: jobSet, trainer: pyTorchJob }[request.kind](request);
  return [
    comment(request),
    ...manifests.map((one) => stringify(one, { lineWidth: 0, aliasDuplicateObjects: false })),
  ].join('---\n');
}

function comment({ name }: KubernetesRequest): string {
  return [
    '# All pods need one secret. Make it once:',
    `#   kubectl create secret generic ${name}-token --from-literal=token=$(openssl rand -hex 32)`,
    '',
  ].join('\n');
}

function indexedJob(request: KubernetesRequest): Manifest[] {
  const { name } = request;
  const labels = { app: name };
  const service = {
    ...{ apiVersion: 'v1', kind: 'Service', metadata: { name, labels } },
    spec: { clusterIP: 'None', publishNotReadyAddresses: true, selector: labels },
  };
  const spec = jobSpec(request, `${name}-0.${name}`, labels, request.replicas * triesEach);
  const template = spec.template as { spec: Manifest };
  template.spec = { subdomain: name, ...template.spec };
  return [service, { apiVersion: 'batch/v1', kind: 'Job', metadata: { name, labels }, spec }];
}

function jobSet(request: KubernetesRequest): Manifest[] {
  const { name } = request;
  const labels = { app: name };
  const onMistake = { name: 'mistake', action: 'FailJobSet', onJobFailureReasons: ['PodFailurePolicy'] };
  const spec = {
    network: { enableDNSHostnames: true, subdomain: name, publishNotReadyAddresses: true },
    failurePolicy: { maxRestarts: triesEach, rules: [onMistake] },
    replicatedJobs: [
      {
        name: 'pods',
        replicas: 1,
        template: { spec: jobSpec(request, `${name}-pods-0-0.${name}`, labels, 0) },
      },
    ],
  };
  return [{ apiVersion: 'jobset.x-k8s.io/v1alpha2', kind: 'JobSet', metadata: { name, labels }, spec }];
}

function pyTorchJob(request: KubernetesRequest): Manifest[] {
  const { name, replicas } = request;
  const pod = (count: number) => {
    const spec = podSpec(request, 'pytorch', undefined);
    return { replicas: count, restartPolicy: 'OnFailure', template: { spec } };
  };
  const spec = {
    runPolicy: { cleanPodPolicy: 'Running', backoffLimit: replicas * triesEach },
    pytorchReplicaSpecs: { Master: pod(1), ...(replicas > 1 && { Worker: pod(replicas - 1) }) },
  };
  return [{ apiVersion: 'kubeflow.org/v1', kind: 'PyTorchJob', metadata: { name }, spec }];
}

function jobSpec(request: KubernetesRequest, host: string, labels: Manifest, backoffLimit: number): Manifest {
  const { replicas } = request;
  const containerName = 'pod-dist';
  const onExit = (action: string, code: number) => ({
    action,
    onExitCodes: { containerName, operator: 'In', values: [code] },
  });
  return {
    ...{ completions: replicas, parallelism: replicas, completionMode: 'Indexed', backoffLimit },
    podReplacementPolicy: 'Failed',
    podFailurePolicy: {
      rules: [
        onExit('FailJob', mistake),
        onExit('Ignore', preempted),
        { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
      ],
    },
    template: {
      metadata: { labels },
      spec: { restartPolicy: 'Never', ...podSpec(request, containerName, host) },
    },
  };
}

function podSpec(request: KubernetesRequest, name: string, host: string | undefined): Manifest {
  const { replicas, gpus, workers, image, volume, cpu, memory, sharedMemory, graceSeconds, args } = request;
  const resources = { cpu, memory, ...(gpus !== undefined && { 'nvidia.com/gpu': gpus }) };
  const place = [
    '--nnodes',
    String(replicas),
    ...(host === undefined ? [] : ['--rendezvous', `${host}:${port}`]),
  ];
  const count =
    gpus === undefined ? ['--workers', String(workers)] : ['--gpus', String(gpus), '--require-gpu'];
  const container = {
    ...{ name, image, args: ['launch', ...place, ...count, ...args], workingDir: volumeFolder },
    ports: [{ containerPort: port, name: host === undefined ? 'pytorchjob-port' : 'rank-0' }],
    env: [
      { name: 'POD_DIST_TOKEN_FILE', value: `${secretFolder}/token` },
      { name: 'HOME', value: '/tmp' },
    ],
    resources: { requests: resources, limits: resources },
    securityContext: {
      ...{ allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, runAsNonRoot: true },
      capabilities: { drop: ['ALL'] },
    },
    volumeMounts: [
      { name: 'runs', mountPath: volumeFolder },
      { name: 'tmp', mountPath: '/tmp' },
      { name: 'memory', mountPath: '/dev/shm' },
      { name: 'token', mountPath: secretFolder, readOnly: true },
    ],
  };
  return {
    ...{ automountServiceAccountToken: false, enableServiceLinks: false },
    terminationGracePeriodSeconds: graceSeconds + marginSeconds,
    securityContext: {
      ...{ runAsUser: user, runAsGroup: user, fsGroup: user, runAsNonRoot: true },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    containers: [container],
    volumes: [
      { name: 'runs', persistentVolumeClaim: { claimName: volume } },
      { name: 'tmp', emptyDir: {} },
      { name: 'memory', emptyDir: { medium: 'Memory', sizeLimit: sharedMemory } },
      { name: 'token', secret: { secretName: `${request.name}-token`, defaultMode: 0o440 } },
    ],
  };
}

function refuse(flag: string, given: string, pattern: RegExp, wanted: string): void {
  if (!pattern.test(given)) throw new UserError('USAGE', `${flag} ${given}: give ${wanted}`);
}
