import { parseArgs } from 'node:util';
import { BenchmarkJob } from '../src/bench/job.js';
import { parseSize } from '../src/bench/sizes.js';

/**
 * Prints the resident memory of two workers over many all-reduces: node dist/benchmarks/memory.js
 * [--rounds 10000] [--size 10MB] [--transport ipc|tcp].
 */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '10000' },
    size: { type: 'string', default: '10MB' },
    transport: { type: 'string', default: 'ipc' },
  },
});
const readings = 20;
const job = await BenchmarkJob.start({ workers: 2, transport: values.transport === 'tcp' ? 'tcp' : 'ipc' });
try {
  const rounds = Math.ceil(Number(values.rounds) / readings);
  process.stdout.write('all-reduces  MB resident, by rank\n');
  for (let reading = 1; reading <= readings; reading++) {
    const resident = await job.run({ name: 'memory', bytes: parseSize(values.size), rounds });
    const megabytes = resident.map((bytes) => (bytes / 1e6).toFixed(1).padStart(8)).join('');
    process.stdout.write(`${String(reading * rounds).padStart(11)}  ${megabytes}\n`);
  }
} finally {
  await job.stop();
}
