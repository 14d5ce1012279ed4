import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { Follower } from '../../src/logging/follower.js';
import { opentelemetry } from '../../src/logging/opentelemetry.js';
import { needs } from '../needs.js';
import { RecordedRun } from './runs.js';

interface ReceivedSpan {
  name: string;
  spanId: string;
  parentSpanId?: string;
  startTimeUnixNano: string;
  endTimeUnixNano: string;
}

interface Received {
  resourceSpans: {
    resource: { attributes: { key: string; value: { stringValue?: string } }[] };
    scopeSpans: { spans: ReceivedSpan[] }[];
  }[];
}

function isInstalled(): boolean {
  try {
    createRequire(import.meta.url).resolve('@opentelemetry/sdk-node');
    return true;
  } catch {
    return false;
  }
}

const missing = needs('no @opentelemetry/sdk-node', !isInstalled());

it('the sink opentelemetry rejects a run in one line that names the missing package', missing, async () => {
  const recorded = new RecordedRun();
  const opening = new Follower('opentelemetry', opentelemetry, recorded.run, () => {}).open();
  await expect(opening).rejects.toThrow(/npm install @opentelemetry\/sdk-node$/);
  recorded.remove();
});

it(
  'the sink opentelemetry sends a run with its epochs and incidents',
  needs('@opentelemetry/sdk-node', isInstalled()),
  async () => {
    const spans: ReceivedSpan[] = [];
    const services = new Set<string | undefined>();
    const server = createServer((request, response) => {
      void request.toArray().then((chunks: Buffer[]) => {
        const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString()) as Received;
        for (const { resource, scopeSpans } of resourceSpans) {
          const name = resource.attributes.find(({ key }) => key === 'service.name');
          services.add(name?.value.stringValue);
          spans.push(...scopeSpans.flatMap((scope) => scope.spans));
        }
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const before = { ...process.env };
    process.env.OTEL_EXPORTER_OTLP_ENDPOINT = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    process.env.OTEL_EXPORTER_OTLP_PROTOCOL = 'http/json';
    process.env.OTEL_SERVICE_NAME = 'faces';
    const recorded = new RecordedRun();
    try {
      recorded.steps(0, 15).epoch(0).incident().steps(15, 30).epoch(1).finish();
      const follower = new Follower('opentelemetry', opentelemetry, recorded.run, () => {});
      await follower.open();
      await follower.close(undefined, 5000);
    } finally {
      process.env = before;
      recorded.remove();
      server.close();
    }
    expect(spans.map(({ name }) => name).sort()).toEqual(['epoch', 'epoch', 'incident', 'run']);
    expect([...services]).toEqual(['faces']);
    const root = spans.find(({ name }) => name === 'run');
    for (const { name, parentSpanId, startTimeUnixNano, endTimeUnixNano } of spans) {
      if (name === 'run') continue;
      expect(parentSpanId).toBe(root?.spanId);
      const seconds = Number(BigInt(endTimeUnixNano) - BigInt(startTimeUnixNano)) / 1e9;
      expect(seconds).toBeCloseTo(name === 'epoch' ? 2 : 0.75, 3);
    }
  },
);
