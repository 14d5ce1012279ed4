import { afterAll, expect, it } from 'vitest';
import { until, Workplace } from './command.js';

const place = new Workplace();
afterAll(() => place.clear());

it('who waits in vain is shown what the commands have printed', async () => {
  await place.run('config', 'show', 'nothing');
  await expect(until('a miracle', () => undefined, 50)).rejects.toThrow(
    /^waited 0\.05 s for a miracle\nprocess \d+: .*cli\.js config show nothing\npod-dist: no configuration file nothing/,
  );
});
