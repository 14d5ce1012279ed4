import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { errorCodes } from '../../src/util/error-codes.js';
import { Workplace } from '../integration/command.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const page = readFileSync(join(root, 'docs/errors.md'), 'utf8');

/** Entries of docs/errors.md, by section. */
const sections = page
  .split(/^## /m)
  .slice(1)
  .map((section) =>
    section
      .split(/^### /m)
      .slice(1)
      .map((entry) => {
        const [, code, meaning, advice, example] =
          /^(\w+)\n([^\n]+)\n\n([^]+?)\n\n```text\n([^\n]+)\n```\s*$/.exec(entry) ?? [];
        return { entry, code, meaning, advice, example };
      }),
  );
const entries = sections.flat();

describe('docs/errors.md', () => {
  it('lists every code in its group with meaning, advice and an example line', () => {
    expect(entries.filter(({ advice, example }) => !advice || !example)).toEqual([]);
    const said = sections.map((section) =>
      section.map(({ code, meaning }) => [code, meaning.replaceAll('`', '').toLowerCase()]),
    );
    const meant = Object.values(errorCodes).map((group) =>
      Object.entries(group).map(([code, meaning]) => [code, `${meaning.toLowerCase()}.`]),
    );
    expect(said).toEqual(meant);
  });

  it('has example lines whose words occur in the sources', () => {
    const sources = ['src', 'launcher', 'benchmarks'].flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.ts') && !file.endsWith('error-codes.ts'))
        .map((file) => readFileSync(join(root, folder, file), 'utf8')),
    );
    const text = sources.join('\n').replace(/[`'"] \+\n\s*[`'"]/g, '');
    const unknown = entries.filter(({ example }) => {
      const words = example.replace(/^pod-dist: /, '').split(' ');
      const length = Math.min(3, words.length);
      return !words.some(
        (_, at) => at + length <= words.length && text.includes(words.slice(at, at + length).join(' ')),
      );
    });
    expect(unknown.map(({ code, example }) => `${code}: ${example}`)).toEqual([]);
  });
});

describe('pod-dist explain', () => {
  it('prints an entry with its link, or a list of every code', async () => {
    const place = new Workplace();
    try {
      const one = await place.ask('explain', 'hosts-unusable');
      expect([one.code, one.stderr]).toEqual([2, expect.stringContaining('did you mean HOST_UNUSABLE?')]);
      const entry = await place.ask('explain', 'host_unusable');
      expect(entry.code, entry.stderr).toBe(0);
      expect(entry.stdout).toMatch(
        /^HOST_UNUSABLE\n\nA host of the job [^]*ssh HOST must log in [^]*\(docs\/launchers\.md\)[^]*\n {2}pod-dist: host b reads [^]*\nfile:\/\/\S+\/docs\/errors\.md#host_unusable\n$/,
      );
      const list = await place.ask('explain');
      const listed = list.stdout.trim().split('\n');
      expect(listed).toHaveLength(entries.length);
      expect(listed.map((line) => line.split(' ')[0])).toEqual(entries.map(({ code }) => code));
    } finally {
      await place.clear();
    }
  });
});
