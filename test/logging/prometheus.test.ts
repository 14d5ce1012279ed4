import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { configSchema } from '../../src/config/schema.js';
import { Follower } from '../../src/logging/follower.js';
import { prometheus } from '../../src/logging/prometheus/index.js';
import { needs } from '../needs.js';
import { RecordedRun } from './runs.js';

const examples = fileURLToPath(new URL('../../examples/grafana', import.meta.url));
const hasPromtool = spawnSync('promtool', ['--version']).status === 0;

describe('the sink prometheus', () => {
  let recorded: RecordedRun;
  let follower: Follower;
  let url: string;
  beforeEach(async () => {
    recorded = new RecordedRun();
    recorded.steps(0, 15).epoch(0).incident();
    follower = new Follower(
      'prometheus',
      prometheus,
      recorded.run,
      (line) => (url = line.replace('metrics: ', '')),
    );
    await follower.open();
    await follower.follow();
  });
  afterEach(async () => {
    await Promise.all([follower.close(undefined, 5000), fetch(url)]);
    recorded.remove();
  });
  const text = async () => (await fetch(url)).text();

  it('exports counters of a run in base units', async () => {
    const found = await text();
    for (const line of [
      'pod_dist_images_total 1437',
      'pod_dist_exposed_communication_seconds_total 0.3',
      'pod_dist_step_duration_seconds_count 15',
      'pod_dist_rank_images_total{rank="1"} 737',
      'pod_dist_incidents_total{code="KILLED"} 1',
      'pod_dist_run_info{name="logged",model="small-cnn",dataset="digits",loss="pod",backend="auto"} 1',
    ])
      expect(found.replaceAll(/0\.30000\d+/g, '0.3').split('\n')).toContain(line);
    expect((await fetch(url.replace('/metrics', '/'))).status).toBe(404);
  });

  it(
    'names its metrics by the conventions of Prometheus',
    needs('promtool of Prometheus', hasPromtool),
    async () => {
      const { status, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: await text() });
      expect([status, stdout.toString(), stderr.toString()]).toEqual([0, '', '']);
      const config = join(examples, 'prometheus.yml');
      expect(spawnSync('promtool', ['check', 'config', config]).status).toBe(0);
    },
  );

  it('exports every metric that the dashboard shows', async () => {
    const known = new Set([...(await text()).matchAll(/^(pod_dist_\w+)/gm)].map(([, name]) => name));
    const dashboard = readFileSync(join(examples, 'dashboard.json'), 'utf8');
    const wanted = [...dashboard.matchAll(/pod_dist_\w+/g)].map(([name]) => name);
    expect(wanted.length).toBeGreaterThan(10);
    expect([...new Set(wanted)].filter((name) => !known.has(name))).toEqual([]);
  });

  it('rejects a port in use', async () => {
    const config = configSchema.parse({ ...recorded.run.config, metrics: Number(new URL(url).port) });
    const other = new Follower('prometheus', prometheus, { ...recorded.run, config }, () => {});
    await expect(other.open()).rejects.toMatchObject({ code: 'PORT_IN_USE' });
  });
});
