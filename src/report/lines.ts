import { z } from 'zod';

const number = z.number();
const stepSchema = z.object({
  kind: z.literal('step'),
  epoch: number,
  step: number,
  loss: number,
  nac: number.optional(),
  sc: number.optional(),
  crossEntropy: number.optional(),
  meanSquaredError: number.optional(),
  squaredError: number.optional(),
  delta: number.optional(),
  lr: number,
  samplesPerSecond: number,
});
const epochSchema = z.object({
  kind: z.literal('epoch'),
  epoch: number,
  trainLoss: number,
  evalAccuracy: number,
  meanCosine: number,
});
const ranksSchema = z.object({
  kind: z.literal('ranks'),
  epoch: number,
  ranks: z.array(
    z.object({ images: number, seconds: number, loaderSeconds: number, exposedSeconds: number }),
  ),
});
const recordSchema = z.discriminatedUnion('kind', [stepSchema, epochSchema, ranksSchema]);

const incidentSchema = z.object({
  time: z.string(),
  cause: z.string(),
  rank: z.number().optional(),
  host: z.string().optional(),
  worldSize: z.number(),
  seconds: z.number(),
  step: z.number().optional(),
  replayed: z.number().optional(),
});

export const reportSchema = z.object({
  worldSize: z.number(),
  backend: z.string(),
  devices: z.array(z.string()),
  parameters: z.number(),
  epochs: z.number(),
  evalCorrect: z.number(),
  evalTotal: z.number(),
  evalAccuracy: z.number(),
  samplesPerSecond: z.number(),
  seconds: z.number(),
});

export type StepLine = z.output<typeof stepSchema>;
export type EpochLine = z.output<typeof epochSchema>;
export type RanksLine = z.output<typeof ranksSchema>;
export type Incident = z.output<typeof incidentSchema>;
export type ReportFile = z.output<typeof reportSchema>;

/** A line of `metrics.jsonl`; undefined for one that cannot be read. */
export function readRecord(line: string): StepLine | EpochLine | RanksLine | undefined {
  return readLine(line, recordSchema);
}

/** A line of `job/incidents.jsonl`; undefined for one that cannot be read. */
export function readIncident(line: string): Incident | undefined {
  return readLine(line, incidentSchema);
}

function readLine<T>(line: string, schema: z.ZodType<T>): T | undefined {
  try {
    return schema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}
