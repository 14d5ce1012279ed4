import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { RanksRecord } from '../../src/record/records.js';
import { largest } from '../../src/util/extremes.js';
import { Command, outputOf, podDist, rowsOf } from './command.js';
import type { Row } from './page.js';

export interface Part {
  name: string;
  kind: 'machine' | 'exactness' | 'steps' | 'training' | 'fault';
  /** Longest time that it may take. */
  seconds: number;
  measure(seconds: number): Promise<Row[]>;
}

export interface Subject {
  backends: readonly string[];
  /** CIFAR-10 as an image folder. */
  images?: string;
  python: string;
  /** Folder for the files of the parts. */
  folder: string;
}

const networks = ['small-cnn', 'resnet20', 'resnet18', 'resnet50'];
const batches = [128, 256];
const torchScript = fileURLToPath(new URL('../../src/bench/peers/torch_step.py', import.meta.url));

/** Steps whose losses are compared; later ones grow apart in any training. */
const comparedSteps = 10;
/** About ten steps: the backend that is compared with is slow. */
const fewImages = ['--set', 'data.holdOut=0.9', '--set', 'batchSize=14'];

export function partsOf(subject: Subject): Part[] {
  const { backends } = subject;
  return [
    { name: 'Machine', kind: 'machine', seconds: 30, measure: (seconds) => machine(subject, seconds) },
    {
      name: 'Losses of steps against the backend cpu',
      kind: 'exactness',
      seconds: 120,
      measure: (seconds) => exactness(subject, seconds),
    },
    ...backends.flatMap((backend): Part[] => [
      {
        name: `Training from image files, ${backend}`,
        kind: 'training',
        seconds: 90,
        measure: (seconds) => training(subject, backend, seconds),
      },
      {
        name: `A worker of two on one GPU killed, ${backend}`,
        kind: 'fault',
        seconds: 60,
        measure: (seconds) => killed(subject, backend, seconds),
      },
    ]),
    ...networks.flatMap((model) =>
      batches.map((batch): Part => ({
        name: `Steps of ${model}, batch ${batch}`,
        kind: 'steps',
        seconds: 60,
        measure: (seconds) => steps(subject, { model, batch }, seconds),
      })),
    ),
  ];
}

async function machine({ python }: Subject, seconds: number): Promise<Row[]> {
  const query = 'name,driver_version,memory.total,compute_cap';
  const text = async (program: string, args: string[]) =>
    outputOf(new Command(program, args, seconds)).then(
      (output) => output.trim(),
      (error: unknown) => `none: ${String(error)}`,
    );
  const torch = 'import torch; print(torch.__version__, torch.version.cuda, torch.cuda.is_available())';
  const doctor = JSON.parse(await outputOf(podDist(['doctor', '--json'], seconds))) as object;
  return [
    {
      what: 'nvidia-smi',
      found: await text('nvidia-smi', [`--query-gpu=${query}`, '--format=csv,noheader']),
    },
    { what: 'PyTorch', found: await text(python, ['-c', torch]) },
    ...Object.entries(doctor).map(([what, found]) => ({
      what: `doctor: ${what}`,
      found: JSON.stringify(found),
    })),
  ];
}

/** Largest relative difference of the first losses to those of the `cpu` backend, with one worker and two on the GPU. */
async function exactness({ backends, folder }: Subject, seconds: number): Promise<Row[]> {
  const lossesOf = async (backend: string, workers: number): Promise<number[]> => {
    const out = join(folder, `exact-${backend}-${workers}`);
    const about = ['--backend', backend, '--workers', String(workers), '--epochs', '1', '--out', out];
    await outputOf(podDist(['launch', ...about, ...fewImages, '--json'], seconds));
    return rowsOf(readFileSync(join(out, 'metrics.jsonl'), 'utf8'))
      .filter(({ kind }) => kind === 'step')
      .slice(0, comparedSteps)
      .map(({ loss }) => loss as number);
  };
  const expected = await lossesOf('cpu', 1);
  const rows: Row[] = [];
  for (const backend of backends) {
    for (const workers of [1, 2]) {
      const losses = await lossesOf(backend, workers);
      const differences = losses.map((loss, index) => Math.abs(loss / (expected[index] ?? NaN) - 1));
      const most = largest(differences);
      rows.push({
        backend,
        workers,
        steps: losses.length,
        'largest difference': most,
        'within 1e-3': most <= 1e-3,
      });
    }
  }
  return rows;
}

async function steps(
  { backends, python }: Subject,
  { model, batch }: { model: string; batch: number },
  seconds: number,
): Promise<Row[]> {
  const rows: Row[] = [];
  const take = async (system: string, command: Command) => {
    try {
      const [row = {}] = rowsOf(await outputOf(command));
      rows.push({ system, 'ms a step': row.medianMs as number, 'images/s': row.imagesPerSecond as number });
    } catch (error) {
      rows.push({ system: `${system}: ${String(error).slice(0, 200)}` });
    }
  };
  const about = ['--model', model, '--batch', String(batch), '--steps', '20'];
  for (const backend of backends)
    await take(backend, podDist(['bench', 'step', ...about, '--backend', backend, '--json'], seconds));
  for (const precision of ['float32', 'tf32', 'bf16']) {
    const args = [torchScript, model, String(batch), '8', '20', precision, 'cuda'];
    await take(`PyTorch eager, ${precision}`, new Command(python, args, seconds));
  }
  const [own, torch] = [rows[0]?.['images/s'], rows[backends.length]?.['images/s']];
  const ratio = Number(own) / Number(torch);
  return [...rows, { system: `${backends[0]} of PyTorch float32`, 'images/s': ratio }];
}

/** Two epochs of ResNet-20 from image files: what the loader lets through. */
async function training({ images, folder }: Subject, backend: string, seconds: number): Promise<Row[]> {
  if (images === undefined || !existsSync(images)) throw new Error('no folder of images (--images)');
  const out = join(folder, `training-${backend}`);
  const about = ['--config', 'cifar10-resnet20', '--set', `data.root=${images}`, '--epochs', '2'];
  const where = ['--backend', backend, '--workers', '1', '--out', out, '--json'];
  await outputOf(podDist(['launch', ...about, ...where], seconds));
  return rowsOf(readFileSync(join(out, 'metrics.jsonl'), 'utf8'))
    .filter(({ kind }) => kind === 'ranks')
    .flatMap((row) => {
      const { epoch, ranks } = row as unknown as RanksRecord;
      return ranks.map(({ images: trained, seconds: took, loaderSeconds }) => ({
        epoch,
        'images/s': trained / took,
        'share of the time that waits for images': loaderSeconds / took,
      }));
    });
}

/** Two workers share the GPU; rank 1 is killed in the middle, and the run goes on to its end. */
async function killed({ folder }: Subject, backend: string, seconds: number): Promise<Row[]> {
  const out = join(folder, `killed-${backend}`);
  const about = [
    '--backend',
    backend,
    '--workers',
    '2',
    '--epochs',
    '10',
    '--out',
    out,
    '--elastic',
    '--json',
  ];
  const command = podDist(['launch', ...about], seconds);
  const ended = command.outcome.then(() => true);
  const metrics = join(out, 'metrics.jsonl');
  const stepsNow = () =>
    existsSync(metrics) ? readFileSync(metrics, 'utf8').split('"kind":"step"').length - 1 : 0;
  while (stepsNow() < 20) if (await Promise.race([ended, delay(50).then(() => false)])) break;
  const { ranks } = JSON.parse(await outputOf(podDist(['status', out, '--json'], seconds))) as {
    ranks: { rank: number; pid: number }[];
  };
  const victim = ranks.find(({ rank }) => rank === 1);
  if (!victim) throw new Error('no rank 1 to kill');
  process.kill(victim.pid, 'SIGKILL');
  const atKill = stepsNow();
  await outputOf(command);
  const incidents = readFileSync(join(out, 'job', 'incidents.jsonl'), 'utf8')
    .trim()
    .split('\n');
  return [{ 'steps at the kill': atKill, 'steps in the end': stepsNow(), incidents: incidents.length }];
}
