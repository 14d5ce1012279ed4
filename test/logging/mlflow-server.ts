import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

interface Metric {
  key: string;
  value: number;
  timestamp: number;
  step: number;
}

interface StoredRun {
  info: { run_id: string; run_name: string; experiment_id: string; status: string; artifact_uri: string };
  params: Map<string, string>;
  tags: Map<string, string>;
  metrics: Metric[];
}

class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** A server that answers as MLflow 3 with a database: it rejects changed parameters and drops repeated metrics. */
export class MlflowServer {
  readonly runs: StoredRun[] = [];
  readonly files = new Map<string, Buffer>();
  readonly authorizations: (string | undefined)[] = [];
  private readonly experiments = ['Default'];
  private server: Server | undefined;
  private port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Starts to listen, after `stop` on the same port as before. */
  async start(): Promise<this> {
    this.server = createServer((request, response) => {
      void this.answer(request).then(
        (body) => response.end(JSON.stringify(body)),
        (error: unknown) => {
          const { status, code, message } =
            error instanceof Refusal ? error : new Refusal(500, 'INTERNAL_ERROR', String(error));
          response.writeHead(status).end(JSON.stringify({ error_code: code, message }));
        },
      );
    });
    const { server, port } = this;
    await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
    this.port = (server.address() as AddressInfo).port;
    return this;
  }

  async stop(): Promise<void> {
    const { server } = this;
    server?.closeAllConnections();
    await new Promise((resolve) => server?.close(resolve));
  }

  private async answer(request: IncomingMessage): Promise<unknown> {
    const { pathname, searchParams } = new URL(request.url ?? '', this.url);
    this.authorizations.push(request.headers.authorization);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const [, path = ''] = /^\/api\/2\.0\/(.*)$/.exec(pathname) ?? [];
    if (request.method === 'PUT' && path.startsWith('mlflow-artifacts/artifacts/')) {
      this.files.set(decodeURIComponent(path.slice('mlflow-artifacts/artifacts/'.length)), body);
      return {};
    }
    const given = (
      request.method === 'GET' ? Object.fromEntries(searchParams) : JSON.parse(body.toString())
    ) as Record<string, string> & { metrics?: Metric[]; params?: { key: string; value: string }[] };
    return this.call(`${request.method} ${path}`, given);
  }

  private call(
    what: string,
    given: Record<string, string> & { metrics?: Metric[]; params?: { key: string; value: string }[] },
  ): unknown {
    switch (what) {
      case 'GET mlflow/experiments/get-by-name': {
        const id = this.experiments.indexOf(given.experiment_name);
        if (id < 0) throw new Refusal(404, 'RESOURCE_DOES_NOT_EXIST', 'Could not find experiment');
        return { experiment: { experiment_id: String(id), name: given.experiment_name } };
      }
      case 'POST mlflow/experiments/create':
        return { experiment_id: String(this.experiments.push(given.name) - 1) };
      case 'POST mlflow/runs/create': {
        const run_id = String(this.runs.length).padStart(32, 'a');
        const { run_name, experiment_id } = given;
        const artifact_uri = `mlflow-artifacts:/${experiment_id}/${run_id}/artifacts`;
        const info = { run_id, run_name, experiment_id, status: 'RUNNING', artifact_uri };
        this.runs.push({ info, params: new Map(), tags: new Map(), metrics: [] });
        return { run: { info, data: {} } };
      }
    }
    const run = this.runs.find(({ info }) => info.run_id === given.run_id);
    if (!run) throw new Refusal(404, 'RESOURCE_DOES_NOT_EXIST', `Run with id=${given.run_id} not found`);
    switch (what) {
      case 'GET mlflow/runs/get': {
        const latest = new Map<string, Metric>();
        for (const metric of run.metrics)
          if (metric.step >= (latest.get(metric.key)?.step ?? 0)) latest.set(metric.key, metric);
        return { run: { info: run.info, data: { metrics: [...latest.values()] } } };
      }
      case 'GET mlflow/metrics/get-history':
        return { metrics: run.metrics.filter(({ key }) => key === given.metric_key) };
      case 'POST mlflow/runs/log-batch':
        for (const { key, value } of given.params ?? []) {
          if ((run.params.get(key) ?? value) !== value)
            throw new Refusal(400, 'INVALID_PARAMETER_VALUE', 'Changing param values is not allowed.');
          run.params.set(key, value);
        }
        for (const metric of given.metrics ?? []) {
          const same = (other: Metric) => JSON.stringify(other) === JSON.stringify(metric);
          if (!run.metrics.some(same)) run.metrics.push(metric);
        }
        return {};
      case 'POST mlflow/runs/set-tag':
        run.tags.set(given.key, given.value);
        return {};
      case 'POST mlflow/runs/update':
        run.info.status = given.status;
        return { run_info: run.info };
      default:
        throw new Refusal(404, 'ENDPOINT_NOT_FOUND', what);
    }
  }
}
