import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Evaluation } from '../../evaluation/schema.js';
import { sampleBytes, unpackSample, type EvaluationSample } from '../../evaluation/sample.js';
import { sampleFile } from '../../record/run-record.js';
import { messageOf } from '../../util/errors.js';
import { readRegularFile } from '../../util/regular-file.js';
import { scalarsOfEpoch, scalarsOfStep } from '../scalars.js';
import { flatSettings } from '../settings.js';
import type { LogEntry, LoggedRun, LogRecord, Sink, SinkKind, SinkStart } from '../sink.js';
import { EventFile, type Event } from './event-file.js';
import { sessionStart, sessionTag } from './hyperparameters.js';
import { confusionMatrix, predictions } from './pictures.js';
import { writeProjector } from './projector.js';
import { Summary } from './summary.js';

const mostSampleBytes = 2 ** 30;

/**
 * Writes events for TensorBoard to `tensorboard/` in the run folder.
 *
 * A session that begins at step n says so first. TensorBoard then drops what it has of step n and later: steps that an
 * earlier process had written, but not noted as written, or that are made again after a resume.
 */
class TensorBoard implements Sink {
  private constructor(
    private readonly run: LoggedRun,
    private readonly file: EventFile,
    private readonly folder: string,
    private readonly say: (line: string) => void,
  ) {}

  static async open(run: LoggedRun, { step, say }: SinkStart): Promise<TensorBoard> {
    const folder = join(run.folder, 'tensorboard');
    const file = new EventFile(folder);
    const time = Date.now();
    const settings = new Summary().text('settings', `\`\`\`yaml\n${stringify(run.config)}\n\`\`\``);
    const begin: Event[] = [
      { time, step: 0, what: { version: 'brain.Event:2' } },
      { time, step, what: { begins: true } },
      { time, step, what: { summary: settings.finish() } },
    ];
    if (step === 0) {
      const data = sessionStart(flatSettings(run.config), { group: run.folder, time });
      begin.push({
        time,
        step,
        what: { summary: new Summary().hyperparameters(sessionTag, data).finish() },
      });
    }
    file.append(begin);
    return new TensorBoard(run, file, folder, say);
  }

  async write(entries: readonly LogEntry[]): Promise<void> {
    const events: Event[] = [];
    for (const entry of entries) {
      const summary = await this.summaryOf(entry.record);
      if (summary) events.push({ time: entry.time, step: entry.at, what: { summary: summary.finish() } });
    }
    this.file.append(events);
  }

  async close(): Promise<void> {
    this.file.close();
  }

  private async summaryOf(record: LogRecord): Promise<Summary | undefined> {
    const summary = new Summary();
    switch (record.kind) {
      case 'step':
        for (const scalar of scalarsOfStep(record, this.run)) summary.scalar(...scalar);
        return summary;
      case 'epoch':
        for (const scalar of scalarsOfEpoch(record)) summary.scalar(...scalar);
        return summary;
      case 'incident':
        return summary.text('incidents', `${record.code}: ${record.cause} (${record.seconds.toFixed(1)} s)`);
      case 'evaluation':
        await this.addEvaluation(summary, record.evaluation);
        return summary;
      case 'report':
        return summary.text('report', `\`\`\`json\n${JSON.stringify(record.report, null, 2)}\n\`\`\``);
      case 'ranks':
        return undefined;
    }
  }

  private async addEvaluation(summary: Summary, evaluation: Evaluation): Promise<void> {
    const { angles, norms } = evaluation;
    for (const [name, { from, to, counts }] of [
      ['angle to the own centroid, degrees', angles.own.histogram],
      ['angle to the nearest other centroid, degrees', angles.other.histogram],
      ['norm of the features', norms.histogram],
    ] as const) {
      const edges = Array.from(
        { length: counts.length + 1 },
        (_, bin) => from + ((to - from) * bin) / counts.length,
      );
      summary.histogram(`evaluation/${name}`, { edges, counts });
    }
    summary.histogram('evaluation/cosine to the own centroid', cosines(angles.own.histogram));
    const sample = this.readSample(evaluation);
    try {
      const matrix = await confusionMatrix(evaluation);
      if (matrix) summary.image('evaluation/confusion matrix', matrix);
      const images = sample && (await predictions(this.run, evaluation, sample));
      if (images) summary.image('evaluation/predictions', images);
    } catch (error) {
      this.say(`tensorboard: no pictures: ${messageOf(error)}`);
    }
    if (sample) writeProjector(this.folder, evaluation, sample);
  }

  private readSample({ dim }: Evaluation): EvaluationSample | undefined {
    try {
      const file = join(this.run.folder, sampleFile);
      const bytes = readRegularFile(file, { mostBytes: mostSampleBytes });
      return bytes.length % sampleBytes(dim) === 0 ? unpackSample([bytes], dim) : undefined;
    } catch {
      return undefined;
    }
  }
}

/** Counts by cosine of counts by angle in degrees, in ascending order. */
function cosines({ from, to, counts }: Evaluation['angles']['own']['histogram']) {
  const edges = Array.from({ length: counts.length + 1 }, (_, bin) => {
    const degrees = to - ((to - from) * bin) / counts.length;
    return Math.cos((degrees * Math.PI) / 180);
  });
  return { edges, counts: counts.toReversed() };
}

export const tensorboard: SinkKind = { open: (run, start) => TensorBoard.open(run, start) };
