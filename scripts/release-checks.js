// What stands in the way of a release of a checkout: a line each, with what to do.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** File in which `.ci/run` keeps the commit of a clean checkout that has passed all tests. */
export const passedFile = '.ci/passed';

/** Everything that stands in the way of releasing the version in `root`. */
export function obstacles(root) {
  const read = (file) => (existsSync(join(root, file)) ? readFileSync(join(root, file), 'utf8') : '');
  const git = (...args) => {
    try {
      return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: 'pipe' }).trim();
    } catch {
      return '';
    }
  };
  const { version, repository } = JSON.parse(read('package.json'));
  const commit = git('rev-parse', '--verify', '--quiet', 'HEAD') || 'the first commit';
  const tagged = git('rev-parse', '--verify', '--quiet', `refs/tags/v${version}^{commit}`);
  return [
    ...changelogObstacles(read('CHANGELOG.md'), version),
    repository === undefined &&
      'package.json names no repository: npm attests the origin of a package only against one',
    git('status', '--porcelain') !== '' && 'the checkout has changes: commit them',
    tagged !== commit &&
      `no tag v${version} on ${commit.slice(0, 12)}: git tag -a v${version} -m "pod-dist ${version}"`,
    read(passedFile).trim() !== commit &&
      `no pass of this commit: run POD_DIST_TESTS=all .ci/run on the clean checkout`,
  ].filter(Boolean);
}

/** The changelog has a dated section of the version, with entries, and nothing above it that is not released. */
export function changelogObstacles(changelog, version) {
  const sections = changelog.split(/^## /m).slice(1);
  const own = sections.find((section) => section.replace('[', '').startsWith(version));
  const [first = ''] = sections;
  const wanted = `CHANGELOG.md needs a section "## ${version} - YYYY-MM-DD" with what has changed`;
  if (own === undefined) return [wanted];
  const [heading] = own.split('\n');
  const found = [];
  if (!/^\S+ - \d{4}-\d{2}-\d{2}$/.test(heading)) found.push(`${wanted}, not "## ${heading}"`);
  if (!/^- /m.test(own)) found.push(`CHANGELOG.md says nothing of ${version}`);
  if (own !== first && /^- /m.test(first))
    found.push(`CHANGELOG.md has entries above ${version} that belong to no version`);
  return found;
}
