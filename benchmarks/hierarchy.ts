import { parseArgs } from 'node:util';
import type { WireType } from '../src/collective/communicator.js';
import { BenchmarkJob } from '../src/bench/job.js';
import { ShapedLink, type Shaping } from '../src/bench/link.js';
import { formatSize, parseSize } from '../src/bench/sizes.js';
import { median, slowest } from '../src/bench/statistics.js';

/**
 * Compares flat and hierarchical reduce-scatter and all-gather of several workers on each of several hosts, which are
 * network and host-name namespaces behind a shaped link (Linux, root): node dist/benchmarks/hierarchy.js
 * [--hosts 2] [--workers 2] [--link 1gbit] [--sizes 1MB,4MB] [--rounds 5].
 */
const { values } = parseArgs({
  options: {
    hosts: { type: 'string', default: '2' },
    workers: { type: 'string', default: '2' },
    link: { type: 'string', default: '1gbit' },
    sizes: { type: 'string', default: '64KB,1MB,4MB' },
    rounds: { type: 'string', default: '5' },
  },
});
const hosts = Number(values.hosts);
const workersPerHost = Number(values.workers);
const wires: readonly WireType[] = ['float32', 'bf16'];

const link = ShapedLink.create(hosts, values.link);
const jobs = new Map<string, BenchmarkJob>();
try {
  for (const [name, hierarchicalBytes] of [
    ['flat', 2 ** 31],
    ['hierarchical', 0],
  ] as const)
    jobs.set(name, await BenchmarkJob.start(jobOptions(hierarchicalBytes)));
  process.stdout.write('size     wire     algorithm     reduce-scatter ms  all-gather ms\n');
  for (const size of values.sizes.split(',').map(parseSize))
    for (const wire of wires) await compare(size, wire);
} finally {
  for (const job of jobs.values()) await job.stop();
  link.close();
}

function jobOptions(hierarchicalBytes: number) {
  return {
    workers: hosts * workersPerHost,
    transport: 'ipc',
    settings: { hierarchicalBytes },
    link: shareHosts(link),
  } as const;
}

/** Ranks host by host, in the host's network namespace and under a host name of its own. */
function shareHosts({ addresses, commands, launcherAddress }: Shaping): Shaping {
  const ranks = Array.from({ length: hosts * workersPerHost }, (_, rank) =>
    Math.floor(rank / workersPerHost),
  );
  return {
    launcherAddress,
    addresses: ranks.map((host) => addresses[host]),
    commands: ranks.map((host) => {
      const named = `hostname host${host} && exec "$@"`;
      return [...commands[host], 'unshare', '--uts', 'sh', '-c', named, 'sh'];
    }),
  };
}

async function compare(bytes: number, wire: WireType): Promise<void> {
  const times = new Map([...jobs.keys()].map((name) => [name, [[], []] as [number[], number[]]]));
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [name, job] of jobs) {
      const results = await job.run({ name: 'sharded', bytes, wire, iterations: 10 });
      const [reduceScatter, allGather] = times.get(name) as [number[], number[]];
      for (const time of slowest(results.map((own) => own.reduceScatter))) reduceScatter.push(time);
      for (const time of slowest(results.map((own) => own.allGather))) allGather.push(time);
    }
  }
  for (const [name, both] of times) {
    const [reduceScatter, allGather] = both.map((all) => median(all).toFixed(2));
    const cells = [formatSize(bytes).padEnd(8), wire.padEnd(8), name.padEnd(13), reduceScatter.padStart(17)];
    process.stdout.write(`${cells.join(' ')}  ${allGather.padStart(13)}\n`);
  }
}
