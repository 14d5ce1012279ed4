import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { imagesOf, secondsOf } from '../scalars.js';
import type { LogRecord, LoggedRun } from '../sink.js';

/** Ranks that have values of their own, at most. */
const mostRanks = 64;

const stepBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** What Prometheus sees of a run: base units, and counters from the first step of the run on. */
export class RunMetrics {
  private readonly registry = new Registry();
  private readonly at = { registers: [this.registry] };
  private readonly steps = this.counter('steps_total', 'Training steps made.');
  private readonly images = this.counter('images_total', 'Training images that steps have seen.');
  private readonly epochs = this.counter('epochs_total', 'Epochs trained and evaluated.');
  private readonly waiting = this.counter(
    'exposed_communication_seconds_total',
    'Time in which the compute thread of rank 0 waited for collectives.',
  );
  private readonly recovery = this.counter(
    'recovery_seconds_total',
    'Time from the first evidence of faults until all ranks went on.',
  );
  private readonly incidents = new Counter({
    ...this.at,
    name: 'pod_dist_incidents_total',
    help: 'Faults that the run has gone on from, by code.',
    labelNames: ['code'],
  });
  private readonly stepSeconds = new Histogram({
    ...this.at,
    name: 'pod_dist_step_duration_seconds',
    help: 'Time of training steps.',
    buckets: stepBuckets,
  });
  private readonly loss = this.gauge('loss', 'Loss of the last step.');
  private readonly rate = this.gauge('learning_rate', 'Learning rate of the last step.');
  private readonly speed = this.gauge('images_per_second', 'Training images a second, in the last step.');
  private readonly accuracy = this.gauge(
    'accuracy_ratio',
    'Test images assigned to their own class, after the last epoch.',
  );
  private readonly cosine = this.gauge('mean_cosine', 'Mean cosine of test images to their own centroid.');
  private readonly trainLoss = this.gauge('epoch_loss', 'Mean loss of the last epoch.');
  private readonly epochSeconds = this.gauge('epoch_duration_seconds', 'Time of the last epoch.');
  private readonly workers = this.gauge('workers', 'Worker processes that train together.');
  private readonly lastStep = this.gauge('last_step_timestamp_seconds', 'When the last step was made.');
  private readonly ofRanks = {
    images: this.rankCounter('rank_images_total', 'Training images of a rank, at ends of epochs.'),
    seconds: this.rankCounter('rank_training_seconds_total', 'Time of a rank in steps, at ends of epochs.'),
    loaderSeconds: this.rankCounter(
      'rank_loader_wait_seconds_total',
      'Time of these in which a rank waited for its data loader.',
    ),
    exposedSeconds: this.rankCounter(
      'rank_exposed_communication_seconds_total',
      'Time of these in which a rank waited for collectives.',
    ),
  };

  constructor(private readonly run: LoggedRun) {
    const { name, workers, backend } = run.config;
    const info = new Gauge({
      ...this.at,
      name: 'pod_dist_run_info',
      help: 'What is trained.',
      labelNames: ['name', 'model', 'dataset', 'loss', 'backend'],
    });
    const { model, data, loss } = run.config;
    info.set({ name, model: model.name, dataset: data.name, loss: loss.name, backend }, 1);
    this.workers.set(workers);
  }

  readonly contentType = this.registry.contentType;

  add(record: LogRecord, time: number): void {
    switch (record.kind) {
      case 'step':
        this.steps.inc();
        this.images.inc(imagesOf(record, this.run));
        this.waiting.inc((record.exposedMs ?? 0) / 1000);
        this.stepSeconds.observe(secondsOf(record, this.run));
        this.loss.set(record.loss);
        this.rate.set(record.lr);
        this.speed.set(record.samplesPerSecond);
        this.lastStep.set(time / 1000);
        break;
      case 'epoch':
        this.epochs.inc();
        this.accuracy.set(record.evalAccuracy);
        this.cosine.set(record.meanCosine);
        this.trainLoss.set(record.trainLoss);
        this.epochSeconds.set(record.seconds);
        break;
      case 'ranks':
        for (const [rank, times] of record.ranks.slice(0, mostRanks).entries())
          for (const [name, counter] of Object.entries(this.ofRanks))
            counter.inc({ rank: String(rank) }, times[name as keyof typeof this.ofRanks]);
        break;
      case 'incident':
        this.incidents.inc({ code: record.code });
        this.recovery.inc(record.seconds);
        if (record.worldSize !== undefined) this.workers.set(record.worldSize);
        break;
      case 'evaluation':
      case 'report':
        break;
    }
  }

  text(): Promise<string> {
    return this.registry.metrics();
  }

  private counter(name: string, help: string): Counter {
    return new Counter({ ...this.at, name: `pod_dist_${name}`, help });
  }

  private gauge(name: string, help: string): Gauge {
    return new Gauge({ ...this.at, name: `pod_dist_${name}`, help });
  }

  private rankCounter(name: string, help: string): Counter<'rank'> {
    return new Counter({ ...this.at, name: `pod_dist_${name}`, help, labelNames: ['rank'] });
  }
}
