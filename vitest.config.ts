import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const root = fileURLToPath(new URL('.', import.meta.url));

/** Files that take longest, longest first: they start first, so that no core waits for one of them in the end. */
const longest = [
  ...['integration/elastic', 'integration/partitions', 'integration/bitwise', 'launchers/launchers'],
  ...['integration/tasks', 'integration/succession', 'integration/several-hosts', 'integration/join'],
  'integration/preempted',
  'integration/launch-over-hosts',
  ...['integration/resume', 'integration/failure'],
  ...['integration/worker', 'integration/exactness', 'integration/webgpu', 'backend/setup'],
  ...['collective/collectives', 'collective/streams', 'collective/within-host', 'integration/endings'],
  ...[
    'integration/evaluate',
    'integration/launch',
    'integration/trace',
    'docs/examples',
    'docs/example-folders',
  ],
  ...['integration/plugins'],
  ...['backend/webgpu/reads', 'export/networks', 'integration/optimisers', 'integration/module'],
  ...['launcher/doctor', 'launcher/cli', 'integration/run-folders', 'integration/report', 'fuzz/fuzz'],
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => {
      const found = longest.indexOf(relative(`${root}test`, moduleId).replace(/\.test\.ts$/, ''));
      return found < 0 ? longest.length : found;
    };
    return (await super.sort(files)).sort((a, b) => place(a) - place(b));
  }
}

/** Folders whose tests start no sockets and leave nothing behind in their process, so that files share one. */
const inOneProcess = [
  'test/{batch-norm,checkpoint,classifier,data,evaluation,inference,kernels,losses,models,optim}/**/*.test.ts',
  'test/{parallel,pedcc,record,report,tf,trace,util,wasm,weights}/**/*.test.ts',
  // What a plug-in registers stays in its process.
  'test/{config,training}/!(plugins|captured-steps).test.ts',
  'test/collective/{algorithms,pairwise}.test.ts',
  'test/logging/*.test.ts',
  'test/export/{files,network,onnx,preprocessing,tfjs}.test.ts',
  'test/job/{join,secret}/*.test.ts',
  'test/launching/**/*.test.ts',
  'test/job/control/{frames,msgpack-limits,protocol}.test.ts',
  'test/job/coordinator/{assembly,failure,liveness,memory-kills,reform,separations}.test.ts',
  'test/job/{launch/error-log,member/{plan,standing,status,succession}}.test.ts',
  'test/launcher/{centroid-file,flags,settings-table,doctor/advice}.test.ts',
  'test/transport/{addresses,keys,sealed,wire}.test.ts',
  'test/scripts/*.test.ts',
  'test/{benchmarks/{models,overlap-spans,accuracy/*},console/display,fuzz/judge,package}.test.ts',
  'test/backend/{devices/*,running,wasm/*,native/{bf16-support,cache,capture/*}}.test.ts',
];

/** Files that only start processes, all with the same variables, and look at what these do: they share a process. */
const ofProcesses = [
  'test/integration/!(copies|fake-coordinator|launch|s3|stranger|webgpu).test.ts',
  // Names that begin like one of those.
  'test/integration/{launch-*,strangers}.test.ts',
  'test/{job/launch/supervisor,backend/native/{archive,wheel},console/{console,closed-terminal}}.test.ts',
  'test/transport/{meeting-folder,zmq/socket-thread}.test.ts',
  'test/launcher/{bad-input,bench,bound-workers,cli,doctor,loading,named-paths,commands/*}.test.ts',
  'test/collective/{close,collectives,compressed,streams,stress,traffic,within-host}.test.ts',
  'test/docs/*.test.ts',
];

// Tests import sources by their TypeScript paths and run what users run: the compiled files in dist/.
// Worker threads and child processes then start from the same files as in production.
export default defineConfig({
  resolve: {
    alias: [{ find: /^(?:\.\.\/)+(src|launcher|benchmarks)\//, replacement: `${root}dist/$1/` }],
  },
  test: {
    globalSetup: './test/bundles.ts',
    pool: 'forks',
    // One more than the two cores that the suite is meant for: many tests wait for processes.
    maxWorkers: 3,
    // Guards against tests that hang: what is to be soon is measured by the test itself.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    server: { deps: { external: [/\/dist\//] } },
    sequence: { sequencer: LongestFirst },
    reporters: ['default', './test/skipped-reporter.ts'],
    projects: [
      {
        extends: true,
        test: { name: 'apart', include: ['test/**/*.test.ts'], exclude: [...inOneProcess, ...ofProcesses] },
      },
      { extends: true, test: { name: 'processes', include: ofProcesses, isolate: false } },
      { extends: true, test: { name: 'together', include: inOneProcess, isolate: false } },
    ],
  },
});
