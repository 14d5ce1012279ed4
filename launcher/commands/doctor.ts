import Table from 'cli-table3';
import type { ArgumentsCamelCase, CommandModule } from 'yargs';
import { backendNames } from '../../src/backend/backends.js';
import { advise } from '../doctor/advice.js';
import { examineBackend, type BackendHealth } from '../doctor/backends.js';
import { examineMachine, type Machine, type PartHealth } from '../doctor/machine.js';
import { summaries } from '../summaries.js';

interface DoctorArguments {
  json: boolean;
}

export const doctorCommand: CommandModule<object, DoctorArguments> = {
  command: 'doctor',
  describe: summaries.doctor,
  builder: (yargs) =>
    yargs
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'print the findings as JSON, and nothing else, on standard output',
      })
      .example('$0 doctor', 'every backend is started and measured, in about half a minute'),
  handler: examine,
};

async function examine({ json }: ArgumentsCamelCase<DoctorArguments>): Promise<void> {
  const machine = await examineMachine();
  if (!json) process.stdout.write(`${describeMachine(machine)}\n\n`);
  const backends: BackendHealth[] = [];
  const onNews = (line: string) => process.stderr.write(`  ${line}\n`);
  for (const name of backendNames) backends.push(await examineBackend(name, onNews));
  const advice = advise(machine, backends);
  if (json) {
    process.stdout.write(`${JSON.stringify({ ...machine, backends, advice })}\n`);
    return;
  }
  process.stdout.write(`${describeBackends(backends)}\n`);
  for (const line of advice) process.stdout.write(`to do: ${line}\n`);
}

function describeMachine(machine: Machine): string {
  const { temporaryFolder: folder } = machine;
  const part = ({ ok, version, reason }: PartHealth) => (ok ? (version ?? 'works') : `no: ${reason}`);
  const gpus = machine.gpus.map(
    ({ index, name, memoryMegabytes, driver }) =>
      `${index}: ${name}, ${(memoryMegabytes / 1024).toFixed(0)} GB, driver ${driver}`,
  );
  const adapters = machine.adapters.map(
    ({ name, driver, software }) => `${name}, ${driver}${software ? ' (software)' : ''}`,
  );
  const lines: [name: string, value: string][] = [
    ['Node', `${machine.node}, ${machine.platform}`],
    ['processor', `${machine.cpu}, ${machine.cores} core${machine.cores === 1 ? '' : 's'} to use`],
    ['memory', `${machine.memoryGigabytes.toFixed(1)} GB, ${machine.freeMemoryGigabytes.toFixed(1)} free`],
    ['temporary', `${folder.path}, ${folder.freeGigabytes.toFixed(0)} GB free`],
    ['zeromq', part(machine.zeromq)],
    ['ipc sockets', part(machine.ipc)],
    ['sharp', part(machine.sharp)],
    ['GPU', gpus.length > 0 ? gpus.join('; ') : 'none that nvidia-smi lists'],
    ['WebGPU', adapters.length > 0 ? adapters.join('; ') : 'no adapter'],
  ];
  return lines.map(([name, value]) => `${name.padEnd(12)}${value}`).join('\n');
}

/** Three significant digits, without an exponent. */
function rounded(value: number | undefined): string | undefined {
  return value === undefined ? undefined : String(Number(value.toPrecision(3)));
}

function describeBackends(backends: readonly BackendHealth[]): string {
  const table = new Table({
    head: ['backend', 'device', 'GFLOP/s', 'images/s'],
    colAligns: ['left', 'left', 'right', 'right'],
    colWidths: [16, 30, 12, 20],
    wordWrap: true,
    style: { head: [], border: [] },
  });
  const refuse = (name: string, reason?: string) =>
    void table.push([name, { content: `no: ${reason}`, colSpan: 3 }]);
  for (const { name, usable, reason, device, gflops, imagesPerSecond, batch, bf16 } of backends) {
    if (!usable) {
      refuse(name, reason);
      continue;
    }
    const speed = `${rounded(imagesPerSecond)}${batch === 1 ? ' (batch 1)' : ''}`;
    table.push([name, device, rounded(gflops), speed]);
    if (!bf16) continue;
    const narrow = `${name}, bf16`;
    if ('obstacle' in bf16) refuse(narrow, bf16.obstacle);
    else table.push([narrow, device, rounded(bf16.gflops), rounded(bf16.imagesPerSecond)]);
  }
  const note =
    'GFLOP/s of a matrix product; images/s of training steps: small CNN, batch 64, 32x32x3, one worker.';
  return `${table.toString()}\n${note}`;
}
