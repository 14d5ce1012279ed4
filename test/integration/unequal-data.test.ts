import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, expect, it } from 'vitest';
import { writeFolder } from '../data/images.js';
import { Workplace } from './command.js';
import { freePort } from './free-port.js';

const place = new Workplace();
afterAll(() => place.clear());

it('workers whose image files differ only in content fail with RANKS_DISAGREE', async () => {
  await writeFolder(place.path('a', 'images'), ['cat', 'dog'], 3);
  cpSync(place.path('a'), place.path('b'), { recursive: true });
  const image = place.path('b', 'images', 'train', 'dog', '1.jpg');
  const bytes = readFileSync(image);
  bytes[bytes.length - 5] ^= 1;
  writeFileSync(image, bytes);
  writeFileSync(
    place.path('tiny.yaml'),
    'name: tiny\nbatchSize: 4\nepochs: 1\nbackend: wasm\ndata: {name: image-folder, root: images, size: 8, cache: {diskMegabytes: 0}}\n' +
      'model: {name: small-cnn, dim: 4, channels: [4], strides: [1]}\nlearningRate: {schedule: constant, rate: 0.05}\n',
  );
  const rendezvous = { WORLD_SIZE: '2', MASTER_ADDR: '127.0.0.1', MASTER_PORT: String(await freePort()) };
  const within = ['sh', '-c', 'cd "$FOLDER" && exec "$@"', 'sh'];
  const ended = await Promise.all(
    ['a', 'b'].map((folder, rank) => {
      const variables = { RANK: String(rank), LOCAL_RANK: String(rank), ...rendezvous, FOLDER: folder };
      const args = ['worker', '--config', place.path('tiny.yaml'), '--out', place.path('run')];
      return place.start(args, variables, within).ended;
    }),
  );
  expect(ended.map(({ code }) => code)).toEqual([1, 1]);
  for (const { lastLine } of ended)
    expect(lastLine).toMatch(/RANKS_DISAGREE: the ranks disagree about the data set \(rank 0: .* rank 1: /);
});
