import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

interface Checks {
  obstacles(root: string): string[];
  changelogObstacles(changelog: string, version: string): string[];
}
interface Licences {
  isAllowed(licence?: string): boolean;
}

const script = (name: string) => import(new URL(`../../scripts/${name}`, import.meta.url).href);
const { obstacles, changelogObstacles } = (await script('release-checks.js')) as Checks;
const { isAllowed } = (await script('licences.js')) as Licences;

const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
afterAll(() => rmSync(folder, { recursive: true }));

function git(...args: string[]): string {
  const who = ['-c', 'user.name=a', '-c', 'user.email=a@example.org'];
  return execFileSync('git', [...who, ...args], { cwd: folder, encoding: 'utf8' }).trim();
}

function write(file: string, text: string): void {
  mkdirSync(dirname(join(folder, file)), { recursive: true });
  writeFileSync(join(folder, file), text);
}

describe('a release', () => {
  it('needs a changelog section, a repository, a clean checkout, a tag and a passed commit', () => {
    git('init', '--quiet');
    write('.gitignore', '.ci/passed\n');
    write('package.json', '{ "version": "1.2.0" }');
    write('CHANGELOG.md', '# Changelog\n\n## [Unreleased]\n\n- New.\n');
    expect(obstacles(folder).map((line) => line.split(/[ :]/).slice(0, 4).join(' '))).toEqual([
      'CHANGELOG.md needs a section',
      'package.json names no repository',
      'the checkout has changes',
      'no tag v1.2.0 on',
      'no pass of this',
    ]);
    write('package.json', '{ "version": "1.2.0", "repository": "https://example.org/pod-dist" }');
    write('CHANGELOG.md', '# Changelog\n\n## 1.2.0 - 2026-12-01\n\n### Added\n\n- New.\n');
    git('add', '.');
    git('commit', '--quiet', '-m', 'Release');
    write('.ci/passed', `${git('rev-parse', 'HEAD')}\n`);
    expect(obstacles(folder)).toEqual([expect.stringContaining('no tag v1.2.0 on ')]);
    git('tag', '-a', 'v1.2.0', '-m', 'pod-dist 1.2.0');
    expect(obstacles(folder)).toEqual([]);
    git('commit', '--quiet', '--allow-empty', '-m', 'Later');
    expect(obstacles(folder)).toEqual([
      expect.stringContaining('no tag v1.2.0 on '),
      expect.stringContaining('no pass of this commit'),
    ]);
  });

  it.each([
    ['1.2.0 - not published yet\n\n- New.\n', 'not "## 1.2.0 - not'],
    ['1.2.0 - 2026-12-01\n', 'says nothing of 1.2.0'],
    ['[Unreleased]\n\n- More.\n\n## 1.2.0 - 2026-12-01\n\n- New.\n', 'belong to no version'],
  ])('rejects the changelog %j', (sections, line) => {
    expect(changelogObstacles(`# Changelog\n\n## ${sections}`, '1.2.0')).toEqual([
      expect.stringContaining(line),
    ]);
  });
});

describe('isAllowed', () => {
  it('accepts licences whose parts are all allowed, or one of several alternatives', () => {
    for (const one of ['MIT', '(MIT OR GPL-3.0-only)', 'Apache-2.0 AND LGPL-3.0-or-later'])
      expect(isAllowed(one), one).toBe(true);
    for (const one of ['', 'GPL-3.0-only', 'MIT AND SSPL-1.0', 'UNLICENSED'])
      expect(isAllowed(one), one).toBe(false);
  });
});
