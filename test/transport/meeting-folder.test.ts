import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  MeetingFolder,
  meetingFolderName,
  removeDead,
  removeLeftovers,
} from '../../src/transport/meeting-folder.js';
import { findUserFolder } from '../../src/transport/user-folder.js';
import { needs } from '../needs.js';

const uid = process.getuid?.() ?? -1;
const root = uid === 0;
const otherUser = 65_533;
const containers = root && spawnSync('unshare', ['--pid', '--fork', 'true']).status === 0;
const name = meetingFolderName('secret', 'job');

let place: string;
let notes: string[];
const find = () => findUserFolder((line) => notes.push(line), [place]);
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'pdt-'));
  chmodSync(place, 0o1777);
  notes = [];
});
afterEach(() => rmSync(place, { recursive: true }));

/** Starts a process that holds a meeting folder as a rank does, until the test kills it. */
async function holder(job: string, within: readonly string[] = []) {
  const module = new URL('../../dist/src/transport/meeting-folder.js', import.meta.url).href;
  const user = join(place, `pod-dist-${uid}`);
  const script = `
    import { mkdirSync, writeFileSync } from 'node:fs';
    import { MeetingFolder } from ${JSON.stringify(module)};
    const user = () => { mkdirSync(${JSON.stringify(user)}, { recursive: true, mode: 0o700 }); return ${JSON.stringify(user)}; };
    const folder = await MeetingFolder.make(${JSON.stringify(job)}, 0, user);
    writeFileSync(folder.path + '/0.values', 'x');
    console.log(process.pid);
    setInterval(() => {}, 1000);`;
  const [program, ...args] = [...within, process.execPath, '--input-type=module', '--eval', script];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return { child, folder: join(user, job) };
}

describe('findUserFolder', () => {
  it("creates the user's folder with mode 700, and finds it again", () => {
    const folder = find() as string;
    expect(folder).toBe(join(place, `pod-dist-${uid}`));
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(find()).toBe(folder);
    expect(notes).toEqual([]);
  });

  it.each([
    ['a link', (path: string) => symlinkSync(mkdtempSync(join(place, 'x-')), path)],
    ['a file', (path: string) => writeFileSync(path, '')],
    [
      'open to others',
      (path: string) => {
        mkdirSync(path);
        chmodSync(path, 0o755);
      },
    ],
  ])('skips a folder that is %s, reports it in a line, and takes the next place', (_what, make) => {
    make(join(place, `pod-dist-${uid}`));
    const next = mkdtempSync(join(tmpdir(), 'pdt-'));
    try {
      const folder = findUserFolder((line) => notes.push(line), [place, next]);
      expect(folder).toBe(join(next, `pod-dist-${uid}`));
      expect(notes).toEqual([expect.stringContaining(join(place, `pod-dist-${uid}`))]);
    } finally {
      rmSync(next, { recursive: true });
    }
  });

  it('skips a folder of another user, and a place that another user may change', needs('root', root), () => {
    mkdirSync(join(place, 'pod-dist-0'), { mode: 0o700 });
    chownSync(join(place, 'pod-dist-0'), otherUser, otherUser);
    expect(find()).toBeUndefined();
    rmSync(join(place, 'pod-dist-0'), { recursive: true });
    chmodSync(place, 0o777);
    expect(find()).toBeUndefined();
    chmodSync(place, 0o1777);
    chownSync(place, otherUser, otherUser);
    expect(find()).toBeUndefined();
    expect(notes).toHaveLength(3);
  });

  it('gives undefined if the path of a socket would be too long', () => {
    const deep = join(place, 'x'.repeat(60));
    mkdirSync(deep);
    expect(findUserFolder(undefined, [deep])).toBeUndefined();
  });
});

describe('MeetingFolder', () => {
  it('gets a name that depends on secret and job and discloses neither', () => {
    expect(name).toMatch(/^[0-9a-f]{24}$/);
    expect(meetingFolderName('secret', 'job')).toBe(name);
    expect(meetingFolderName('other', 'job')).not.toBe(name);
    expect(meetingFolderName('secret', '../../etc')).toMatch(/^[0-9a-f]{24}$/);
  });

  it('is shared by the ranks of a job, and is gone once each rank has removed it', async () => {
    const folders = await Promise.all([0, 1].map((rank) => MeetingFolder.make(name, rank, find)));
    expect(folders[0]?.path).toBe(folders[1]?.path);
    for (const file of ['0-1.0', '0-1.pipe', '1.values', 'memory'])
      writeFileSync(join(folders[0]?.path as string, file), '');
    for (const folder of folders) folder?.remove();
    folders[0]?.remove();
    expect(readdirSync(place)).toEqual([]);
  });

  it('removes only files of known names', async () => {
    const folder = (await MeetingFolder.make(name, 0, find)) as MeetingFolder;
    const outside = join(place, 'outside');
    mkdirSync(outside);
    writeFileSync(join(outside, '0.values'), '');
    symlinkSync(outside, join(folder.path, '0-1.0'));
    writeFileSync(join(folder.path, 'else'), '');
    folder.remove();
    expect(readdirSync(folder.path)).toEqual(['else']);
    expect(readdirSync(outside)).toEqual(['0.values']);
  });

  it('is removed by the next job if its process was killed, and kept if its process lives', async () => {
    const [dead, live] = await Promise.all([holder('d'.repeat(24)), holder('a'.repeat(24))]);
    dead.child.kill('SIGKILL');
    await once(dead.child, 'exit');
    expect(existsSync(dead.folder)).toBe(true);
    const folder = await MeetingFolder.make(name, 0, find);
    expect(existsSync(dead.folder)).toBe(false);
    expect(existsSync(live.folder)).toBe(true);
    folder?.remove();
    live.child.kill('SIGKILL');
    await once(live.child, 'exit');
    removeLeftovers('a'.repeat(24), find());
    expect(readdirSync(place)).toEqual([]);
  });

  it(
    'keeps folders of processes in containers with other process ids',
    needs('user namespaces', containers),
    async () => {
      const live = await holder('a'.repeat(24));
      const other = await holder('b'.repeat(24), ['unshare', '--pid', '--fork', '--kill-child']);
      expect(existsSync(live.folder)).toBe(true);
      await removeDead(find() as string);
      expect(existsSync(other.folder)).toBe(true);
      for (const { child } of [live, other]) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
    },
  );

  it('deletes no files that another user links to in place of a folder', needs('root', root), async () => {
    const precious = join(place, 'precious');
    mkdirSync(precious);
    for (let index = 0; index < 20; index++) writeFileSync(join(precious, `${index}.values`), '');
    const job = 'c'.repeat(24);
    const attack = `
      import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
      process.chdir(${JSON.stringify(place)});
      const end = performance.now() + 1500;
      console.log('attacking');
      while (performance.now() < end) for (const name of ['pod-dist-0', 'pod-dist-ipc-999999-abc', 'pod-dist-${otherUser}']) {
        try { mkdirSync(name + '/${job}', { recursive: true }); writeFileSync(name + '/${job}/1.values', ''); rmSync(name + '/${job}', { recursive: true }); symlinkSync(${JSON.stringify(precious)}, name + '/${job}'); rmSync(name, { recursive: true }); } catch {}
        try { symlinkSync(${JSON.stringify(precious)}, name); rmSync(name); } catch {}
      }`;
    const ids = [`--reuid=${otherUser}`, `--regid=${otherUser}`, '--clear-groups'];
    const child = spawn('setpriv', [...ids, process.execPath, '--input-type=module', '--eval', attack], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = once(child, 'exit');
    await once(child.stdout, 'data');
    let over = false;
    void ended.then(() => (over = true));
    while (!over) {
      const folder = await MeetingFolder.make(name, 0, find).catch(() => undefined);
      removeLeftovers(job, find());
      await delay(1);
      folder?.remove();
    }
    expect(readdirSync(precious)).toHaveLength(20);
  });
});
