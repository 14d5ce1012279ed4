import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { request } from 'node:http';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:net';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Change } from '../../src/ui/change.js';
import { epochSteps, RecordedRun } from '../logging/runs.js';
import { needs } from '../needs.js';
import { browserFlags, findChromium } from '../report/browser.js';
import { EventReader } from '../ui/reader.js';
import { paced, smallModel, Workplace, type Command } from './command.js';

/** A name with HTML, which a page must show as text. */
const hostile = '<img src=x onerror="document.title=1">';

let place: Workplace;
let growing: RecordedRun;
let whole: RecordedRun;
let command: Command;
let link: string;
const readers: EventReader[] = [];

beforeAll(async () => {
  place = new Workplace();
  growing = new RecordedRun().steps(0, epochSteps).epoch(0).steps(epochSteps, 20).incident();
  whole = new RecordedRun().steps(0, epochSteps).epoch(0).evaluate(hostile);
  writeFileSync(join(growing.folder, 'logs/rank-0.log'), `begins\n${hostile}\u001b[31m red\u001b[0m\n`);
  writeFileSync(place.path('secret'), 'not for the page\n');
  symlinkSync(place.path('secret'), join(growing.folder, 'logs/rank-1.log'));
  command = place.start(['ui', growing.folder, whole.folder]);
  await command.says(/http:\/\/127\.0\.0\.1:\d+\/[0-9a-f]{32}\/\n/);
  link = /http:\S+/.exec(command.describe())?.[0] ?? '';
});
afterAll(async () => {
  for (const reader of readers) reader.close();
  await place.clear();
  for (const run of [growing, whole]) run.remove();
});

async function open(path: string, lastId?: string): Promise<EventReader> {
  const reader = await EventReader.open(`${link}${path}`, lastId);
  readers.push(reader);
  return reader;
}

/** Status code of the answer to a request. */
function ask(path: string, headers: Record<string, string> = {}, method = 'GET'): Promise<number> {
  const { hostname, port } = new URL(link);
  return new Promise((resolve, reject) => {
    request({ hostname, port, path, headers, method }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    })
      .on('error', reject)
      .end();
  });
}

describe('a client without the link', () => {
  it('gets nothing by any path, host name or method', async () => {
    const path = new URL(link).pathname;
    const host = new URL(link).host;
    const answers = [
      ['/', 403],
      [`${path.slice(0, -2)}0/`, 403],
      [`${path.slice(0, -2)}0/events`, 403],
      [path.slice(0, -1), 404],
      [`${path}log/0/1`, 404],
      [`${path}log/0/-1`, 404],
      [`${path}log/0/../../config.yaml`, 404],
      [`${path}log/0/%2e%2e%2fconfig.yaml`, 404],
      [`${path}ui.js`, 200],
    ] as const;
    for (const [asked, status] of answers) expect([asked, await ask(asked)]).toEqual([asked, status]);
    expect(await ask(path, { host: `attacker.example:${new URL(link).port}` })).toBe(403);
    expect(await ask(path, { host: host.replace('127.0.0.1', 'localhost') })).toBe(200);
    expect(await ask(path, {}, 'POST')).toBe(405);
  });

  it('cannot connect from another host', async () => {
    const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    const other = addresses.find(({ internal, family }) => !internal && family === 'IPv4');
    if (!other) return;
    const refused = await new Promise((resolve) => {
      const socket = connect({ host: other.address, port: Number(new URL(link).port) }, () => {
        socket.destroy();
        resolve(undefined);
      }).on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    });
    expect(refused).toBe('ECONNREFUSED');
  });

  it('gets headers that forbid caching, referrers and other origins', async () => {
    const { headers } = await fetch(link);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('content-security-policy')).toMatch(/default-src 'none'.*connect-src 'self'/);
  });
});

describe('the event streams of the page', () => {
  it('send both runs completely, then each new point once', async () => {
    const page = await open('events');
    const state = await page.next('state');
    const { html, charts } = state.data as Change;
    for (const run of [growing, whole]) expect(html.now).toContain(run.folder.split('/').pop());
    expect(html.incidents).toContain('ended by SIGKILL');
    expect(html.evaluation).toContain('&lt;img src=x');
    const loss = charts.loss?.option.series ?? [];
    expect(loss.map(({ data }) => data.length).slice(0, 2)).toEqual([20, epochSteps]);

    growing.steps(20, 23);
    const added: unknown[] = [];
    let id = state.id;
    while (added.length < 3) {
      const change = await page.until(({ patches }) => 'loss' in patches);
      expect([change.patches.loss?.length, Object.keys(change.charts)]).toEqual([1, []]);
      const [series, keep, points = []] = change.patches.loss?.[0] ?? [];
      expect([series, keep]).toEqual([0, 20 + added.length]);
      added.push(...points);
      id = change.id;
    }
    expect(added).toHaveLength(3);

    const again = await open('events', id);
    growing.steps(23, 24);
    expect((await again.until(({ patches }) => 'loss' in patches)).patches.loss?.[0]?.[1]).toBe(23);
    expect(again.unread.filter(({ event }) => event === 'state')).toEqual([]);
    const late = await open('events', state.id);
    expect((await late.next('state')).data).toMatchObject({ charts: { loss: {} } });
  });

  it('remove the points after the checkpoint that a run resumes from', async () => {
    const page = await open('events');
    await page.next('state');
    growing.resume({ epochs: 1, steps: 2 });
    const isShorter = ({ patches }: Change) => patches.loss?.[0]?.[1] === epochSteps + 2;
    expect((await page.until(isShorter)).patches.loss).toEqual([[0, epochSteps + 2, []]]);
    expect(page.unread.filter(({ event }) => event === 'state')).toEqual([]);
  });

  it('send the end of a log as text, then each added line', async () => {
    const log = await open('log/0/0');
    expect((await log.next('begin')).data).toBe(`begins\n${hostile} red\n`);
    appendFileSync(join(growing.folder, 'logs/rank-0.log'), 'half a ');
    appendFileSync(join(growing.folder, 'logs/rank-0.log'), 'line\n');
    const { data, id } = await log.next('lines');
    expect(data).toBe('half a line\n');
    appendFileSync(join(growing.folder, 'logs/rank-0.log'), 'more\n');
    expect((await (await open('log/0/0', id)).next('lines')).data).toBe('more\n');
  });
});

describe(
  'the live page in a browser',
  needs('Chromium (apt install chromium, or set POD_DIST_CHROMIUM)', findChromium()),
  () => {
    const steps = 10_000;
    let browser: Browser;
    let long: RecordedRun;
    let server: Command;
    let address: string;
    const pictures = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
    beforeAll(async () => {
      long = new RecordedRun().steps(0, steps).epoch(0).incident();
      mkdirSync(join(long.folder, 'logs'), { recursive: true });
      writeFileSync(join(long.folder, 'logs/rank-0.log'), `${hostile}\n`);
      server = place.start(['ui', long.folder, whole.folder]);
      await server.says(/http:\S+\n/);
      address = /http:\S+/.exec(server.describe())?.[0] ?? '';
      browser = await chromium.launch({ executablePath: findChromium(), args: browserFlags });
    });
    afterAll(async () => {
      await browser.close();
      long.remove();
      rmSync(pictures, { recursive: true });
    });

    /** Opens the page and scrolls to its end; returns it with its console messages, errors and requests. */
    async function visit(width: number): Promise<{ page: Page; complaints: string[] }> {
      const complaints: string[] = [];
      const context = await browser.newContext({ viewport: { width, height: 900 } });
      const page = await context.newPage();
      page.on('console', (message) => complaints.push(message.text()));
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('request', (asked) => asked.url().startsWith(address) || complaints.push(asked.url()));
      await page.goto(address);
      await page.waitForSelector('html[data-ready]');
      await page.click('[data-log="0/0"]');
      for (const chart of await page.locator('.chart').all()) {
        await chart.scrollIntoViewIfNeeded();
        await chart.locator('svg').waitFor();
      }
      return { page, complaints };
    }

    const visits: Awaited<ReturnType<typeof visit>>[] = [];

    it.each([390, 1280])(
      'fits %i pixels, has enough contrast in light and dark mode, and shows names as text',
      async (width) => {
        const { page, complaints } = await visit(width);
        visits.push({ page, complaints });
        for (const colorScheme of ['light', 'dark'] as const) {
          await page.emulateMedia({ colorScheme });
          await page.screenshot({ path: join(pictures, `${width}-${colorScheme}.png`), fullPage: true });
          expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
          expect(await page.evaluate<unknown>(faintTexts)).toEqual([]);
        }
        expect(await page.innerText('#log')).toContain(hostile);
        expect(await page.innerText('#evaluation')).toContain(hostile);
        await page.locator('#confusion-1').scrollIntoViewIfNeeded();
        await page.locator('#confusion-1 svg path').nth(6).hover({ force: true });
        expect(await page.locator('main img[src=x]').count()).toBe(0);
        expect(await page.title()).not.toBe('1');
        expect(complaints).toEqual([]);
      },
    );

    it(`redraws a run of ${steps} steps within 250 ms`, async () => {
      const { page, complaints } = visits.at(-1) ?? (await visit(1280));
      await page.locator('#loss').scrollIntoViewIfNeeded();
      await page.evaluate('performance.clearMeasures()');
      const times = () =>
        page.evaluate<number[]>(`performance.getEntriesByName('redraw').map(({ duration }) => duration)`);
      for (let more = 0; more < 4; more++) {
        long.steps(steps + 10 * more, steps + 10 * (more + 1));
        await expect.poll(async () => (await times()).length, { timeout: 10_000 }).toBeGreaterThan(more);
      }
      const took = (await times()).toSorted((a, b) => a - b);
      expect(took[Math.floor(took.length / 2)]).toBeLessThan(250);
      expect(complaints).toEqual([]);
    });

    it('reports the end of the server, which ends within a second of SIGHUP', async () => {
      const { page } = visits.at(-1) ?? (await visit(1280));
      const began = performance.now();
      server.child.kill('SIGHUP');
      expect(await server.ended).toMatchObject({ code: 0, stderr: '' });
      expect(performance.now() - began).toBeLessThan(1000);
      await expect.poll(() => page.innerText('#link')).toBe('pod-dist ui has ended');
    });
  },
);

it('pod-dist ui ends on SIGTERM, with all its streams', async () => {
  const [events, log] = [await open('events'), await open('log/0/0')];
  await events.next('state');
  command.child.kill('SIGTERM');
  expect(await command.ended).toMatchObject({ code: 0, stderr: '' });
  expect((await events.next('end')).data).toBe('pod-dist ui has ended');
  await expect.poll(() => [events.isOver, log.isOver]).toEqual([true, true]);
});

it('launch --ui serves the live page until the evaluation, and ends it with the launch', async () => {
  const programs = place.path('programs');
  mkdirSync(programs);
  const write = (name: string, ...lines: string[]) =>
    writeFileSync(join(programs, name), ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o755 });
  write('xdg-mime', 'echo firefox.desktop');
  write('firefox', 'echo "$@" > "$0.asked"', 'cp "$1" "$0.page"');
  const desktop = { DISPLAY: ':77', PATH: `${programs}:${process.env.PATH}` };
  const small = ['--backend', 'wasm', '--set', smallModel, '--set', 'batchSize=360', '--epochs', '2'];
  const launch = place.start(['launch', '--workers', '2', ...small, '--out', 'run', '--ui'], {
    ...paced(100),
    ...desktop,
  });
  await launch.says(/live page: http:\S+\n/);
  const address = /http:\S+/.exec(launch.describe())?.[0] ?? '';
  const page = await EventReader.open(`${address}events`);
  readers.push(page);
  let mistakes = '';
  const states = new Set<string>();
  while (!mistakes.includes('data:image/png;base64,')) {
    const { data } = await page.next(/^(state|change)$/);
    const { html = {} } = data as Partial<Change>;
    const [, state] = /class="state (\w+)"/.exec(html.now ?? '') ?? [];
    if (state !== undefined) states.add(state);
    mistakes = html.mistakes ?? mistakes;
  }
  expect([...states]).toContain('running');
  expect((await page.next(/^end$/)).data).toContain('pod-dist ui run shows the run again');
  const { code, stdout } = await launch.ended;
  expect([code, stdout]).toEqual([0, expect.stringContaining('the live page has ended with the launch')]);

  expect(readFileSync(join(programs, 'firefox.page'), 'utf8')).toContain(`url=${address}"`);
  expect(readFileSync(join(programs, 'firefox.asked'), 'utf8')).not.toContain(new URL(address).pathname);
  expect(place.leftovers().filter((name) => name.startsWith('pod-dist-ui'))).toEqual([]);

  const { mistakes: kept, total, correct } = place.evaluation('run');
  expect(kept).toHaveLength(Math.min(24, total - correct));
  for (const { label, nearest } of kept) {
    expect(nearest[0]?.label).not.toBe(label);
    expect(nearest.map(({ score }) => score)).toEqual(
      nearest.map(({ score }) => score).toSorted((one, next) => next - one),
    );
    expect(nearest).toHaveLength(5);
  }
  expect(mistakes.split('<img ')).toHaveLength(kept.length + 1);
  for (const more of [['--dry-run'], ['--hosts', 'a:1']])
    expect(await place.ask('launch', '--ui', ...more)).toMatchObject({ code: 2 });
});

it('pod-dist ui rejects a missing run folder, and a folder without runs', async () => {
  const nowhere = await place.ask('ui', 'nowhere');
  expect(nowhere).toMatchObject({
    code: 2,
    lastLine: expect.stringContaining('there is no run folder nowhere'),
  });
  expect(await place.ask('ui')).toMatchObject({
    code: 2,
    lastLine: expect.stringContaining('no run below runs/'),
  });
});

/** Script that lists texts outside charts whose contrast with their background is below 4.5. */
const faintTexts = `(() => {
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((value) => value / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const behind = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = parse(getComputedStyle(one).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (walker.currentNode.data.trim() === '' || element.closest('svg, script, .chart') || !element.checkVisibility()) continue;
    const [a, b] = [luminance(parse(getComputedStyle(element).color).slice(0, 3)), luminance(behind(element))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.push(walker.currentNode.data.slice(0, 40) + ' ' + contrast.toFixed(1));
  }
  return faint;
})()`;
