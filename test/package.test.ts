import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

interface LockEntry {
  dev?: boolean;
  optional?: boolean;
  hasInstallScript?: boolean;
  license?: string;
  version: string;
}

const { packages } = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8')) as {
  packages: Record<string, LockEntry>;
};

/** Packages that an installation of pod-dist brings. */
const installed = Object.entries(packages)
  .filter(([path, { dev }]) => path !== '' && !dev)
  .map(([path, entry]) => ({ name: path.replace(/^.*node_modules\//, ''), ...entry }));

const { isAllowed } = (await import(new URL('../scripts/licences.js', import.meta.url).href)) as {
  isAllowed(licence?: string): boolean;
};

describe('production dependencies', () => {
  it('run only the install scripts that docs/install.md names', () => {
    const scripts = installed.filter(({ hasInstallScript }) => hasInstallScript).map(({ name }) => name);
    expect(scripts.sort()).toEqual(['msgpackr-extract', 'webgpu', 'zeromq']);
  });

  it('have licences that allow redistribution', () => {
    const other = installed.filter(({ license }) => !isAllowed(license));
    expect(other.map(({ name, license }) => `${name}: ${license}`)).toEqual([]);
  });

  it('include neither @tensorflow/tfjs, nor ECharts, nor outdated archive packages', () => {
    const names = installed.map(({ name, version }) => `${name}@${version}`);
    expect(
      names.filter((name) =>
        /^(@tensorflow\/tfjs@|echarts@|tar@[0-6]\.|https-proxy-agent@[0-4]\.|adm-zip@)/.test(name),
      ),
    ).toEqual([]);
  });
});
