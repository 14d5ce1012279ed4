import { join } from 'node:path';
import { sync as writeFileAtomicSync } from 'write-file-atomic';
import { z } from 'zod';
import { makeFolder } from '../util/make-folder.js';
import { readRegularText } from '../util/regular-file.js';

const whole = z.int().min(0);

const placeSchema = z.object({
  /** Lines of `metrics.jsonl` that it has. */
  lines: whole,
  /** Steps among these. */
  steps: whole,
  /** Time of the last of them, in milliseconds since 1970; 0 before the first. */
  time: z.number().min(0),
  /** Lines of `job/incidents.jsonl` that it has. */
  incidents: whole,
  /** When the evaluation and the report that it has were written, likewise. */
  evaluation: z.number().min(0),
  report: z.number().min(0),
});

/** How much of a run's record a sink has. */
export type Place = z.output<typeof placeSchema>;

export const beginning: Place = { lines: 0, steps: 0, time: 0, incidents: 0, evaluation: 0, report: 0 };

const fileSchema = z.object({ place: placeSchema, kept: z.unknown().optional() });

const mostBytes = 2 ** 20;

/** The file in the run folder, `log/<sink>.json`, that says how much of the record a sink has. */
export class PlaceFile {
  place: Place = beginning;
  private value: unknown;
  private readonly file: string;

  constructor(
    private readonly folder: string,
    sink: string,
  ) {
    this.file = join(folder, 'log', `${sink}.json`);
    try {
      const { place, kept } = fileSchema.parse(JSON.parse(readRegularText(this.file, { mostBytes })));
      this.place = place;
      this.value = kept;
    } catch {
      // None yet, or a broken one: the sink gets the run from its beginning.
    }
  }

  get kept(): unknown {
    return this.value;
  }

  keep(value: unknown): void {
    this.value = value;
    this.write();
  }

  move(place: Place): void {
    this.place = place;
    this.write();
  }

  private write(): void {
    makeFolder(join(this.folder, 'log'));
    const text = `${JSON.stringify({ place: this.place, kept: this.value })}\n`;
    writeFileAtomicSync(this.file, text, { fsync: false });
  }
}
