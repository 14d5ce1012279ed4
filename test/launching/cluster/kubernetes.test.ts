import { Ajv2020 } from 'ajv/dist/2020.js';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { dockerfile } from '../../../src/launching/cluster/dockerfile.js';
import { kubernetesManifests, type KubernetesRequest } from '../../../src/launching/cluster/kubernetes.js';
import { readNodePlace } from '../../../src/launching/hosts/node-place.js';

const request: KubernetesRequest = {
  ...{ kind: 'job', name: 'faces', replicas: 4, gpus: 2, workers: 1, image: 'faces:1', volume: 'data' },
  ...{ cpu: '4', memory: '16Gi', sharedMemory: '2Gi', graceSeconds: 90 },
  args: ['--config', 'faces.yaml', '--resume', '--out', '/volume/runs/faces'],
};

/** Value of a manifest at a path such as `spec.template`. */
function at<T = unknown>(manifest: unknown, path: string): T {
  return path.split('.').reduce((one, key) => (one as Record<string, unknown>)[key], manifest) as T;
}

const manifests = (more: Partial<KubernetesRequest> = {}) =>
  parseAllDocuments(kubernetesManifests({ ...request, ...more }))
    .map((document) => document.toJS() as object | null)
    .filter((one) => one !== null);

const ajv = new Ajv2020({ strict: false, validateFormats: false });
for (const name of ['kubernetes-1.37', 'jobset-0.10.1', 'pytorchjob-1.8.1']) {
  const file = fileURLToPath(new URL(`schemas/${name}.json`, import.meta.url));
  ajv.addSchema(JSON.parse(readFileSync(file, 'utf8')) as object, name);
}

/** Errors of a manifest against a published schema, which knows every field. */
function objectionsOf(schema: string, manifest: unknown): unknown[] {
  const validate = ajv.compile({ $ref: schema });
  return validate(manifest) ? [] : (validate.errors ?? []);
}

const objections = (definition: string, manifest: unknown) =>
  objectionsOf(`kubernetes-1.37#/$defs/${definition}`, manifest);

/** The manifest with one more field in its `spec`. */
const withMore = (manifest: unknown, field: string) => ({
  ...(manifest as object),
  spec: { ...at<object>(manifest, 'spec'), [field]: {} },
});

const podTemplate = 'io.k8s.api.core.v1.PodTemplateSpec';

describe('the manifest of an Indexed Job', () => {
  const [service, job] = manifests();

  it("matches Kubernetes' schema", () => {
    expect(objections('Service', service)).toEqual([]);
    expect(objections('Job', job)).toEqual([]);
    expect(objections('Job', withMore(job, 'completionMod'))).not.toEqual([]);
  });

  it('gives every pod the place of a host, with rank 0 at the DNS name of the service', () => {
    const pod = at(job, 'spec.template.spec');
    expect([at(pod, 'subdomain'), at(service, 'spec.clusterIP'), at(service, 'spec.selector')]).toEqual([
      ...['faces', 'None', at(job, 'spec.template.metadata.labels')],
    ]);
    const args = at<string[]>(pod, 'containers.0.args');
    const flag = (name: string) => args[args.indexOf(name) + 1];
    const flags = { nnodes: flag('--nnodes'), rendezvous: flag('--rendezvous') };
    expect(readNodePlace(flags, { JOB_COMPLETION_INDEX: '3' })).toMatchObject({
      ...{ nodes: 4, nodeRank: 3, host: 'faces-0.faces', port: 29_500 },
    });
  });

  it('fails on exit code 2, ignores exit code 75, and waits longer than the grace', () => {
    const rules = at<{ action: string; onExitCodes?: { values: number[] } }[]>(
      job,
      'spec.podFailurePolicy.rules',
    );
    const byCode = rules.map(({ action, onExitCodes }) => [action, onExitCodes?.values]);
    expect(byCode).toEqual([
      ['FailJob', [2]],
      ['Ignore', [75]],
      ['Ignore', undefined],
    ]);
    expect(at(job, 'spec.template.spec.terminationGracePeriodSeconds')).toBe(120);
  });
});

it('the manifest of a JobSet matches its schema and contains such a Job, with the name of its first pod', () => {
  const [set] = manifests({ kind: 'jobset' });
  expect(objectionsOf('jobset-0.10.1', set)).toEqual([]);
  expect(objectionsOf('jobset-0.10.1', withMore(set, 'replicatedJob'))).not.toEqual([]);
  const [{ template, name }] = at<{ template: object; name: string }[]>(set, 'spec.replicatedJobs');
  expect(objections('Job', { apiVersion: 'batch/v1', kind: 'Job', ...template })).toEqual([]);
  const args = at(template, 'spec.template.spec.containers.0.args');
  expect(args).toContain(`faces-${name}-0-0.faces:29500`);
});

it("the manifest of a PyTorchJob matches its schema; pods find their place in the operator's variables", () => {
  const [job] = manifests({ kind: 'trainer' });
  expect(objectionsOf('pytorchjob-1.8.1', job)).toEqual([]);
  expect(objectionsOf('pytorchjob-1.8.1', withMore(job, 'pytorchReplicaSpec'))).not.toEqual([]);
  const specs = Object.values(
    at<Record<string, { replicas: number; template: object }>>(job, 'spec.pytorchReplicaSpecs'),
  );
  expect(specs.map(({ replicas }) => replicas)).toEqual([1, 3]);
  for (const { template } of specs) {
    expect(objections(podTemplate, template)).toEqual([]);
    expect(at(template, 'spec.containers.0.name')).toBe('pytorch');
  }
  const environment = { MASTER_ADDR: 'faces-master-0', MASTER_PORT: '23456', WORLD_SIZE: '4', RANK: '2' };
  expect(readNodePlace({ nnodes: '4' }, environment)).toMatchObject({ nodeRank: 2, host: 'faces-master-0' });
});

it.each([
  [{ name: 'Faces' }, /--name Faces: give up to 50/],
  [{ volume: 'a b' }, /--volume a b: give the name/],
  [{ memory: '16 GB' }, /--memory 16 GB: give a quantity/],
])('kubernetesManifests rejects %j', (more, message) => {
  expect(() => kubernetesManifests({ ...request, ...more })).toThrow(message);
});

it('dockerfile runs nothing as root', () => {
  expect(dockerfile('1.2.3')).toMatch(/pod-dist@1\.2\.3\n[^]*\nUSER node\nENTRYPOINT \["pod-dist"\]\n$/);
});
