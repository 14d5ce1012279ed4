import { appendFileSync, cpSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeImage } from '../data/images.js';
import { browserFlags, findChromium } from '../report/browser.js';
import { paced, smallModel, until, Workplace } from './command.js';
import { needs } from '../needs.js';

const place = new Workplace();
const executablePath = findChromium();
afterAll(() => place.clear());

beforeAll(async () => {
  for (let level = 0; level < 6; level++)
    await writeImage(place.path('strangers', `${level}.png`), [40 * level, 40 * level, 40 * level]);
  const runs = [
    ['pod', '--workers', '2', '--set', 'evaluation.unknown=strangers'],
    ['softmax', '--set', 'loss.name=softmax', '--set', 'learningRate.rate=0.05'],
  ];
  for (const [name, ...args] of runs) {
    const small = ['--backend', 'wasm', '--set', smallModel];
    const ended = await place.run('launch', ...small, '--epochs', '3', '--out', name, ...args);
    expect(ended, ended.stderr).toMatchObject({ code: 0 });
  }
  const elastic = [
    '--workers',
    '2',
    '--elastic',
    '--set',
    'elastic.snapshotSteps=20',
    '--trace',
    'trace.json',
  ];
  const command = place.start(
    ['launch', '--backend', 'wasm', '--set', smallModel, '--epochs', '6', '--out', 'struck', ...elastic],
    paced(30),
  );
  await until('two epochs', () => (place.epochs('struck') > 1 ? true : undefined));
  const job = readFileSync(place.path('struck/job/job.json'), 'utf8');
  const { ranks } = JSON.parse(job) as { ranks: { rank: number; pid: number }[] };
  process.kill(ranks.find(({ rank }) => rank === 1)?.pid as number, 'SIGKILL');
  expect(await command.ended).toMatchObject({ code: 0 });
  cpSync(place.path('pod'), place.path('killed'), { recursive: true });
  for (const file of ['report.json', 'evaluation.json']) rmSync(place.path('killed', file));
  appendFileSync(place.path('killed', 'metrics.jsonl'), '{"kind":"step","ep');
});

describe('pod-dist report', () => {
  it('writes one page, and reports the missing files of a killed run', async () => {
    const { code, stdout, stderr } = await place.ask('report', 'killed');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^killed\/report\.html: 1 run, 0\.\d MB\n$/);
    expect(stderr).toMatch(/killed: report\.json is missing: the run did not end, or still goes on/);
    expect(stderr).toMatch(
      /killed: evaluation\.json is missing: pod-dist evaluate --checkpoint killed --out/,
    );
    expect(stderr).toMatch(/killed: metrics\.jsonl has 1 line that cannot be read, left out here/);
  });

  it('lists the faults that a run has recovered from', async () => {
    const [incident] = readFileSync(place.path('struck/job/incidents.jsonl'), 'utf8').split('\n');
    const { step, replayed, cause } = JSON.parse(incident) as Record<string, number | string>;
    expect(step).toBeGreaterThanOrEqual(30);
    expect(replayed).toBeLessThanOrEqual(20);
    await place.ask('report', 'struck');
    const page = readFileSync(place.path('struck/report.html'), 'utf8');
    const [, section] = /<section id="incidents">(.*?)<\/section>/s.exec(page) ?? [];
    expect(section).toContain(`<td>${Number(step) + 1}</td><td>1</td>`);
    expect(section).toContain(`<td>${cause}</td><td>${replayed}</td>`);
    const charts = /<script type="application\/json" id="charts">(.*?)<\/script>/s.exec(page)?.[1] ?? '';
    const marks = (
      JSON.parse(charts) as { id: string; option: { series: { type: string; name: string }[] } }[]
    )
      .filter(({ option }) =>
        option.series.some(({ type, name }) => type === 'scatter' && name.startsWith('rank 1: ')),
      )
      .map(({ id }) => id);
    expect(marks).toEqual(['loss', 'accuracy']);

    await place.ask('report', 'pod');
    expect(readFileSync(place.path('pod/report.html'), 'utf8')).not.toContain('Incidents');
  });

  it('agrees with the trace about reform, restore and replay after a fault', () => {
    const { traceEvents } = JSON.parse(readFileSync(place.path('trace.json'), 'utf8')) as {
      traceEvents: { name: string; pid: number; cat: string; dur: number; args: { steps?: number } }[];
    };
    const of = (rank: number) => traceEvents.filter(({ pid, cat }) => pid === rank && cat === 'incidents');
    const replay = of(0).find(({ name }) => name === 'replay');
    expect(of(0).map(({ name }) => name)).toEqual(['reform', 'restore', ...(replay ? ['replay'] : [])]);
    expect(of(1).map(({ name }) => name)).toEqual(['restore']);
    for (const { dur } of [...of(0), ...of(1)]) expect(dur).toBeGreaterThan(0);
    const [incident] = readFileSync(place.path('struck/job/incidents.jsonl'), 'utf8').split('\n');
    const { replayed } = JSON.parse(incident) as { replayed: number };
    expect(Math.abs((replay?.args.steps ?? 0) - replayed)).toBeLessThanOrEqual(1);
  });

  it('rejects folders that are no run folder', async () => {
    mkdirSync(place.path('empty'));
    for (const [folder, message] of [
      ['nowhere', 'there is no run folder nowhere'],
      ['empty', 'empty is no run folder'],
    ]) {
      const ended = await place.ask('report', 'pod', folder, '--out', 'no.html');
      expect(ended).toMatchObject({ code: 2, stdout: '', lastLine: expect.stringContaining(message) });
    }
    expect(() => statSync(place.path('no.html'))).toThrow();
  });
});

describe(
  'the report page in a browser',
  needs('Chromium (apt install chromium, or set POD_DIST_CHROMIUM)', executablePath),
  () => {
    let browser: Browser;
    beforeAll(async () => void (browser = await chromium.launch({ executablePath, args: browserFlags })));
    afterAll(() => browser.close());

    /** Opens a page offline; returns it with its console messages, errors and requests. */
    async function open(file: string, options: { width: number; dark?: boolean }) {
      const complaints: string[] = [];
      const context = await browser.newContext({
        offline: true,
        viewport: { width: options.width, height: 900 },
        colorScheme: options.dark ? 'dark' : 'light',
      });
      const page = await context.newPage();
      page.on('console', (message) => complaints.push(message.text()));
      page.on('pageerror', (error) => complaints.push(error.message));
      const address = pathToFileURL(place.path(file)).href;
      page.on('request', (request) => request.url() !== address && complaints.push(request.url()));
      await page.goto(address);
      await page.waitForSelector('html[data-drawn]');
      return { page, complaints };
    }

    /** Id, number of shapes and fit of every chart. */
    async function drawn(page: Page) {
      const charts = await page.locator('.chart').all();
      return Promise.all(
        charts.map(async (chart) => {
          const [outside, inside] = await Promise.all([
            chart.boundingBox(),
            chart.locator('svg').first().boundingBox(),
          ]);
          return {
            id: String(await chart.getAttribute('id')),
            shapes: await chart.locator('svg path, svg text, svg circle').count(),
            fits: outside !== null && inside?.width === outside.width,
          };
        }),
      );
    }

    it('draws every chart of a run offline, with its numbers', async () => {
      await place.ask('report', 'pod');
      const { page, complaints } = await open('pod/report.html', { width: 1280 });
      const charts = await drawn(page);
      expect(charts.map(({ id }) => id)).toEqual([
        ...['loss', 'parts', 'accuracy', 'mean-cosine', 'delta', 'learning-rate'],
        ...['class-accuracy', 'reliability', 'rejection', 'unknown', 'norms'],
        ...['confusion-0', 'angles-0', 'plane-0', 'throughput', 'waiting'],
      ]);
      for (const chart of charts) {
        expect(chart.shapes, chart.id).toBeGreaterThan(12);
        expect(chart.fits, chart.id).toBe(true);
      }
      const { evalAccuracy, samplesPerSecond } = place.report('pod');
      const results = await page.innerText('main > section:first-of-type');
      expect(results).toContain(`${(100 * evalAccuracy).toFixed(2)} %`);
      expect(results).toContain('3 of 3');
      expect(results).toContain('2 × wasm');
      expect(results).toContain(samplesPerSecond.toFixed(0));
      const points = await page.locator('#plane-0 svg path').count();
      expect(points).toBeGreaterThan(360);
      const evaluation = place.evaluation('pod');
      expect(await page.innerText('figure:has(#angles-0) p')).toContain(
        `mean ${evaluation.angles.own.mean?.toFixed(1)}°`,
      );
      expect(await page.locator('#unknown svg').textContent()).toContain(
        evaluation.rejection.unknown?.auroc?.toFixed(3),
      );
      expect(await page.locator('#waiting svg').textContent()).toContain('rank 1');
      expect(await page.locator('aside').count()).toBe(0);
      expect(complaints).toEqual([]);
    });

    it('marks faults on the curves', async () => {
      await place.ask('report', 'struck');
      const { page, complaints } = await open('struck/report.html', { width: 1280 });
      expect(await page.innerText('#incidents')).toMatch(/killed by signal SIGKILL/);
      for (const chart of ['#loss', '#accuracy']) {
        const mark = page.locator(`${chart} svg path[fill="#c0182b"]`).first();
        await mark.hover({ force: true });
        await expect.poll(() => page.innerText(chart)).toMatch(/rank 1: .*SIGKILL.*made again, \d+\.\d\d s/);
      }
      expect(complaints).toEqual([]);
    });

    it('compares runs, with differing settings and missing files', async () => {
      await place.ask('report', 'pod', 'softmax', 'killed', '--out', 'three.html');
      const { page, complaints } = await open('three.html', { width: 1280 });
      const charts = await drawn(page);
      expect(charts.map(({ id }) => id)).toEqual(
        expect.arrayContaining(['part-nac', 'part-sc', 'rejection-accuracy', 'confusion-1', 'plane-1']),
      );
      for (const chart of charts) expect(chart.shapes, chart.id).toBeGreaterThan(12);
      const settings = await page.innerText('main > section:nth-of-type(2)');
      expect(settings).toMatch(/loss\.name\s+pod\s+softmax\s+pod/);
      expect(settings).not.toContain('optimizer.momentum');
      expect(await page.innerText('aside')).toContain('killed: evaluation.json is missing');
      expect(await page.locator('#loss svg').textContent()).toMatch(/pod.*softmax.*killed/);
      expect(complaints).toEqual([]);
    });

    it('fits a narrow screen, and has other colours in dark mode', async () => {
      const [light, dark] = [
        await open('pod/report.html', { width: 390 }),
        await open('pod/report.html', { width: 390, dark: true }),
      ];
      expect(await light.page.evaluate<number>('document.documentElement.scrollWidth')).toBe(390);
      const curve = async ({ page }: typeof light) => {
        const paths = await page.locator('#loss svg path[fill="none"]').all();
        return Promise.all(paths.map((path) => path.getAttribute('stroke')));
      };
      expect(await curve(light)).toContain('#0072b2');
      expect(await curve(dark)).toContain('#4aa8e0');
      await light.page.emulateMedia({ colorScheme: 'dark' });
      await expect.poll(() => curve(light), { timeout: 10_000 }).toContain('#4aa8e0');
      expect([...light.complaints, ...dark.complaints]).toEqual([]);
    });
  },
);
