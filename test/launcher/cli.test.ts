import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeFolder } from '../data/images.js';
import { Workplace, type Ended as EndedCommand } from '../integration/command.js';

let place: Workplace;
let folder: string;
beforeAll(() => {
  for (const name of ['RANK', 'WORLD_SIZE', 'SLURM_PROCID', 'PMI_RANK', 'OMPI_COMM_WORLD_RANK'])
    delete process.env[name];
  place = new Workplace();
  folder = place.folder;
});
afterAll(() => place.clear());

type Ended = Pick<EndedCommand, 'code' | 'stdout' | 'stderr'>;

/** Expects exit code 2 and one line on standard error that matches. */
function expectMistake({ code, stderr }: Ended, message: RegExp): void {
  expect(stderr).toMatch(/^pod-dist: [^\n]+\n$/);
  expect(stderr).toMatch(message);
  expect(code).toBe(2);
}

describe("a user's mistake gives one line and exit code 2:", () => {
  const mistakes: [args: string[], message: RegExp][] = [
    [[], /give a command; see pod-dist --help/],
    [['lunch'], /lunch; did you mean launch\? see pod-dist --help/],
    [['zzzzzz'], /zzzzzz; see pod-dist --help/],
    [['launch', '--wrokers', '3'], /wrokers; did you mean workers\? see pod-dist launch --help/],
    [['launch', '--workers'], /workers; see pod-dist launch --help/],
    [['launch', '--workers', '2', '--gpus', '2'], /gpus and workers are mutually exclusive/],
    [['launch', '--workers', '2', '-n', '3'], /: --workers is given 2 times: give it once/],
    [['evaluate', '--checkpoint', 'a', '--checkpoint', 'b'], /: --checkpoint is given 2 times/],
    [['data', 'fetch', 'mnist', '--dir', 'a', '--dir', 'b', '--dir', 'c'], /: --dir is given 3 times/],
    [['launch', '--config', 'nowhere.yaml'], /no configuration file nowhere\.yaml/],
    [['launch', '--config', 'digit'], /no configuration file digit: did you mean digits\?/],
    [['launch', '--set', 'batchsize=3'], /unknown key batchsize; did you mean batchSize\?/],
    [
      ['launch', '--set', 'data.name=mnits'],
      /data\.name: there is no mnits; did you mean mnist\? known are digits/,
    ],
    [['launch', '--config', 'cifar10-resnet20'], /data\/cifar10-images\/train does not exist: data\.root/],
    [['launch', '--out', 'file/run'], /--out file\/run cannot be a run folder/],
    [['setup', '--cuda', '--no-cuda'], /no-cuda and cuda are mutually exclusive/],
    [['launch', '--set', 'evaluation.unknown=none'], /none does not exist: evaluation\.unknown must hold/],
    [['evaluate', '--checkpoint', 'nowhere'], /no checkpoint under nowhere/],
    [['centroids', '-k', '0', '-d', '3'], /classes is 0: /],
    [['centroids', '-k', '3', '-d', '3', '--out', 'c.txt'], /c\.txt: end the name in \.npy/],
    [['worker'], /needs RANK and WORLD_SIZE/],
  ];

  beforeAll(() => writeFileSync(join(folder, 'file'), ''));

  it.each(mistakes)('pod-dist %j', async (args, message) => {
    const ended = await place.ask(...args);
    expectMistake(ended, message);
    expect(ended.stdout).toBe('');
    expect(readdirSync(folder)).toEqual(['file']);
  });
});

describe('with --json', () => {
  it.each([
    [
      ['evaluate', '--checkpoint', 'nowhere', '--json'],
      'CHECKPOINT_NOT_FOUND',
      /no checkpoint under nowhere/,
    ],
    [['launch', '--json', '--set', 'epoch=3'], 'CONFIG_INVALID', /unknown key epoch/],
    [['launch', '--json', '--wrokers', '3'], 'USAGE', /did you mean workers/],
  ])('a mistake is also printed as an object: pod-dist %j', async (args, code, message) => {
    const ended = await place.run(...args);
    expectMistake(ended, message);
    const { error } = JSON.parse(ended.stdout) as { error: Record<'code' | 'message' | 'url', string> };
    expect(error).toEqual({
      code,
      message: expect.stringMatching(message),
      url: expect.stringMatching(/^file:/),
    });
    const { pathname, hash } = new URL(error.url);
    expect(readFileSync(pathname, 'utf8').toLowerCase()).toContain(`\n### ${hash.slice(1)}\n`);
  });
});

describe('launch with an image folder', () => {
  const recipe = () => [
    ...['--config', join(folder, 'tiny.yaml'), '--backend', 'wasm', '--epochs', '1'],
    ...['--set', `data.root=${join(folder, 'images')}`],
  ];

  beforeAll(async () => {
    await writeFolder(join(folder, 'images'), ['cat', 'dog', 'emu'], 4);
    writeFileSync(
      join(folder, 'tiny.yaml'),
      'name: tiny\nbatchSize: 5\ndata: {name: image-folder, root: ., size: 8}\n' +
        'model: {name: small-cnn, dim: 4, channels: [4], strides: [1]}\n' +
        'learningRate: {schedule: constant, rate: 0.01}\n',
    );
  });

  it.each([1, 2])(
    'rejects a broken image, with %i workers, and prints no escape sequence of its name',
    async (workers) => {
      const train = join(folder, 'images', 'train', 'dog');
      const broken = join(train, 'bro\u001b[2Jken.jpg');
      writeFileSync(broken, 'no image');
      try {
        const ended = await place.ask(
          'launch',
          '-n',
          String(workers),
          '--out',
          `broken-${workers}`,
          ...recipe(),
        );
        expectMistake(ended, new RegExp(`${train}/bro\\\\u001b\\[2Jken\\.jpg is no image that can be read`));
        expect(ended.stdout + ended.stderr).not.toContain('\u001b');
      } finally {
        rmSync(broken);
      }
    },
  );

  it.each([
    ['a class that is not trained', ['test', 'yak', '0.png'], /test\/yak: there is no class yak/],
    ['a file that is no image', ['train', 'cat', 'notes.txt'], /train\/cat\/notes\.txt is no/],
  ])('rejects %s beside the images', async (_what, path, message) => {
    const file = join(folder, 'images', ...path);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, '');
    try {
      expectMistake(await place.ask('launch', ...recipe()), message);
    } finally {
      rmSync(path[1] === 'yak' ? join(file, '..') : file, { recursive: true });
    }
  });

  it('rejects a class without images', async () => {
    mkdirSync(join(folder, 'images', 'train', 'yak'));
    mkdirSync(join(folder, 'images', 'test', 'yak'));
    try {
      expectMistake(await place.ask('launch', ...recipe()), /train\/yak holds no \.jpg/);
    } finally {
      for (const split of ['train', 'test'])
        rmSync(join(folder, 'images', split, 'yak'), { recursive: true });
    }
  });

  it('trains to the end with valid images', async () => {
    const { code, stdout, stderr } = await place.run('launch', '--json', '--out', 'whole', ...recipe());
    expect([code, JSON.parse(stdout)]).toEqual([
      0,
      expect.objectContaining({ evalTotal: 12, epochs: 1, worldSize: 1 }),
    ]);
    expect(stderr).toMatch(/^epoch 1\/1 /m);
  });
});

describe('pod-dist', () => {
  it('lists its commands with --help, and prints help for each', async () => {
    const { code, stdout } = await place.ask('--help');
    expect(code).toBe(0);
    for (const name of ['launch', 'worker', 'evaluate', 'centroids', 'setup'])
      expect(stdout).toContain(`pod-dist ${name}`);
    for (const name of ['launch', 'evaluate', 'centroids']) {
      const help = await place.ask(name, '--help');
      expect([help.code, help.stderr]).toEqual([0, '']);
      expect(help.stdout).toContain(`pod-dist ${name}`);
      if (name !== 'centroids') expect(help.stdout).toMatch(/--backend +auto, native, webgpu, wasm, cpu/);
    }
  });

  it('launch rejects a batch that does not fit into memory, and creates no run folder', async () => {
    const model = 'model={name: small-cnn, channels: [16384], strides: [1], dim: 2}';
    const flags = ['--backend', 'wasm', '--batch-size', '1437', '--out', 'large'];
    expectMistake(
      await place.ask('launch', ...flags, '--set', model),
      /step of 1437 images of 8x8x1 .* needs at least 6\.0 GB .* more than the [1-4]\.\d GB .*: lower batchSize/,
    );
    expect(existsSync(join(folder, 'large'))).toBe(false);
  });

  it('launch rejects a port in use', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      const ended = await place.ask('launch', '-n', '2', '--port', String(port), '--out', 'port');
      expectMistake(ended, new RegExp(`port ${port} of 127\\.0\\.0\\.1 is in use`));
    } finally {
      server.close();
    }
  });

  it('centroids --json prints the measured centroids as JSON only', async () => {
    const { code, stdout, stderr } = await place.ask('centroids', '-k', '10', '-d', '16', '--json');
    expect([code, stderr]).toEqual([0, '']);
    const { construction, maxCosine, complete } = JSON.parse(stdout) as Record<string, unknown>;
    expect([construction, complete]).toEqual(['simplex', true]);
    expect(maxCosine).toBeCloseTo(-1 / 9, 6);
  });
});
