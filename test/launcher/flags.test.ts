import { describe, expect, it } from 'vitest';
import yargs from 'yargs';
import { overrides, recipeFlags } from '../../launcher/flags.js';
import { loadConfig } from '../../src/config/load.js';
import { listSettings } from '../../src/config/settings.js';

function parse(...args: string[]): Record<string, unknown> {
  return yargs(args).options(recipeFlags()).strict().exitProcess(false).parseSync();
}

describe('recipeFlags', () => {
  it('takes the help of flags from the schema', () => {
    const flags = recipeFlags();
    const workers = listSettings().find(({ path }) => path === 'workers');
    const description = workers?.forms[0].description as string;
    expect(description).not.toBe('');
    expect(flags.workers.describe).toContain(description);
    expect(flags['batch-size'].describe).toContain('(setting batchSize)');
  });

  it('gives the settings of the given flags only', () => {
    expect(overrides(parse())).toEqual([]);
    const given = overrides(
      parse('-n', '3', '-b', '12', '--epochs', '2', '--seed', '0', '--backend', 'wasm', '--port', '7'),
    );
    expect(given.map(({ path, value, source }) => [path, value, source])).toEqual([
      ['workers', 3, '--workers'],
      ['epochs', 2, '--epochs'],
      ['batchSize', 12, '--batch-size'],
      ['seed', 0, '--seed'],
      ['backend', 'wasm', '--backend'],
      ['distributed.port', 7, '--port'],
    ]);
    expect(loadConfig({ flags: given })).toMatchObject({
      workers: 3,
      batchSize: 12,
      distributed: { port: 7 },
    });
  });

  it('takes spares as a wish for an elastic run, unless that is refused', () => {
    const elastic = (...args: string[]) => loadConfig({ flags: overrides(parse(...args)) }).elastic;
    expect(elastic('--workers', '2', '--spares', '1')).toMatchObject({ enabled: true, spares: 1 });
    expect(elastic('--workers', '2', '--spares', '0').enabled).toBe(false);
    expect(elastic('--workers', '2', '--spares', '1', '--no-elastic').enabled).toBe(false);
  });

  it('collects every --set unchanged, one value each', () => {
    const { set } = parse('--set', 'a.b=c', '--set', 'model.channels=[1, 2]', '--set', 'x=-1');
    expect(set).toEqual(['a.b=c', 'model.channels=[1, 2]', 'x=-1']);
    expect(parse().set).toEqual([]);
  });
});
