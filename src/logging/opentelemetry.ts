import { UserError } from '../util/errors.js';
import type { JobEnd } from '../record/job-end.js';
import type { LogEntry, LoggedRun, Sink, SinkKind, SinkStart } from './sink.js';

type Attributes = Record<string, string | number | boolean>;

interface Span {
  setAttributes(attributes: Attributes): void;
  setStatus(status: { code: number; message: string }): void;
  end(time?: number): void;
}

/** What is used of `@opentelemetry/sdk-node`, which is installed by those who want it. */
interface Sdk {
  NodeSDK: new () => { start(): void; shutdown(): Promise<void> };
  api: {
    ROOT_CONTEXT: object;
    SpanStatusCode: { ERROR: number };
    trace: {
      getTracer(name: string): {
        startSpan(
          name: string,
          options: { startTime: number; attributes: Attributes },
          context: object,
        ): Span;
      };
      setSpan(context: object, span: Span): object;
      disable(): void;
    };
  };
}

const packageName = '@opentelemetry/sdk-node';

/**
 * A run as spans: one of the run, and in it one of each epoch and of each incident. Where they go is up to the variables
 * `OTEL_...` of the SDK. It keeps spans that a collector does not take for a while, and then drops them.
 */
class OpenTelemetry implements Sink {
  private readonly context: object;

  private constructor(
    private readonly sdk: Sdk,
    private readonly node: InstanceType<Sdk['NodeSDK']>,
    private readonly root: Span,
    private readonly tracer: ReturnType<Sdk['api']['trace']['getTracer']>,
  ) {
    this.context = sdk.api.trace.setSpan(sdk.api.ROOT_CONTEXT, root);
  }

  static async open({ config, folder }: LoggedRun, { step }: SinkStart): Promise<OpenTelemetry> {
    const { env } = process;
    env.OTEL_SERVICE_NAME ??= 'pod-dist';
    env.OTEL_METRICS_EXPORTER ??= 'none';
    env.OTEL_LOGS_EXPORTER ??= 'none';
    const sdk = await load();
    const node = new sdk.NodeSDK();
    node.start();
    const tracer = sdk.api.trace.getTracer('pod-dist');
    const { name, model, data, loss, workers } = config;
    const attributes = {
      ...{ 'pod_dist.run': name, 'pod_dist.folder': folder, 'pod_dist.first_step': step },
      ...{ 'pod_dist.model': model.name, 'pod_dist.dataset': data.name, 'pod_dist.loss': loss.name },
      'pod_dist.workers': workers,
    };
    const root = tracer.startSpan('run', { startTime: Date.now(), attributes }, sdk.api.ROOT_CONTEXT);
    return new OpenTelemetry(sdk, node, root, tracer);
  }

  async write(entries: readonly LogEntry[]): Promise<void> {
    for (const { record, time, at } of entries) {
      if (record.kind === 'epoch') {
        const { epoch, trainLoss, evalAccuracy, meanCosine } = record;
        const values = { epoch: epoch + 1, train_loss: trainLoss, accuracy: evalAccuracy };
        this.span('epoch', time, record.seconds, { ...values, mean_cosine: meanCosine, step: at });
      } else if (record.kind === 'incident') {
        const { code, cause, rank } = record;
        const about = { code, cause, step: at, ...(rank === undefined ? {} : { rank }) };
        this.span('incident', time, record.seconds, about);
      } else if (record.kind === 'report') {
        this.root.setAttributes({ 'pod_dist.accuracy': record.report.evalAccuracy });
      }
    }
  }

  async close(ended?: JobEnd): Promise<void> {
    const { api } = this.sdk;
    if (ended)
      this.root.setStatus({ code: api.SpanStatusCode.ERROR, message: `${ended.code}: ${ended.message}` });
    this.root.end();
    await this.node.shutdown();
    api.trace.disable();
  }

  /** A span that has ended at `time`. */
  private span(name: string, time: number, seconds: number, attributes: Attributes): void {
    const named = Object.entries(attributes).map(([key, value]) => [`pod_dist.${key}`, value] as const);
    const options = { startTime: time - 1000 * seconds, attributes: Object.fromEntries(named) };
    this.tracer.startSpan(name, options, this.context).end(time);
  }
}

async function load(): Promise<Sdk> {
  try {
    const found = (await import(packageName)) as Sdk & { default?: Sdk };
    return found.default ?? found;
  } catch {
    throw new UserError(
      'CONFIG_INVALID',
      `log: opentelemetry needs a package that is not installed: npm install ${packageName}`,
    );
  }
}

export const opentelemetry: SinkKind = { open: (run, start) => OpenTelemetry.open(run, start) };
