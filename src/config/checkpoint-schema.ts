import { z } from 'zod';
import { isS3 } from '../s3/address.js';
import { mostEpochs, path, upTo } from '../util/bounds.js';
import { epochMetrics, type EpochMetric } from './metrics.js';
import { nearest } from '../util/nearest.js';

const units = {
  steps: ['steps', 'step'],
  minutes: ['min', 'minutes', 'minute'],
  epochs: ['epochs', 'epoch'],
} as const;

type Unit = keyof typeof units;

/** From one checkpoint to the next. */
export interface Interval {
  count: number;
  unit: Unit;
}

/** Which checkpoints of a run stay. */
export interface Retention {
  /** The newest; 0: all. */
  last: number;
  /** The best by each of these metrics, so many of each; of equal ones the newer. */
  best: readonly { count: number; metric: EpochMetric }[];
  /** Those after each so many epochs; 0: none of these. */
  everyEpochs: number;
}

const words = Object.values(units).flat();
const everyPattern = new RegExp(`^[1-9][0-9]{0,8} *(?:${words.join('|')})$`);
const amount = '[1-9][0-9]{0,5}';
const keepPattern = new RegExp(
  `^(?:last +${amount}|best +${amount}(?: +by +(?:${epochMetrics.join('|')}))?|every +${amount} +epochs?)$`,
);

const everyText = z
  .string()
  .regex(everyPattern, { error: ({ input }) => explainEvery(String(input)) })
  .describe('such as 500 steps, 10 min, 1 epoch');
const keepText = z
  .string()
  .regex(keepPattern, { error: ({ input }) => explainKeep(String(input)) })
  .describe('last 3, best 2, best 2 by meanCosine, every 10 epochs');

/** When checkpoints are written, and which of them stay. */
export const checkpointSchema = z
  .strictObject({
    every: z
      .union([upTo(mostEpochs), everyText], { error: ({ input }) => explainEvery(String(input)) })
      .default(1)
      .describe('epochs, or such as 500 steps, 10 min, 1 epoch'),
    keep: z
      .union([z.int().min(0).max(mostEpochs), keepText, z.array(keepText).min(1).max(10)], {
        error: ({ input }) => explainKeep(String(input)),
      })
      .default(3)
      .describe(
        `newest checkpoints kept (0: all), or last 3, best 2 (by evalAccuracy, or as in best 2 by meanCosine: ${epochMetrics.join(', ')}), every 10 epochs, or a list of these; the newest stays always`,
      ),
    keepBest: z
      .int()
      .min(0)
      .max(mostEpochs)
      .optional()
      .describe('checkpoints kept besides: those of the best accuracy; default: 1 where keep is a number'),
    copyTo: path
      .refine((address) => isS3(address), 'must be an address such as s3://bucket/runs/faces')
      .optional()
      .describe('where copies of the checkpoints that stay are kept, such as s3://bucket/runs/faces'),
  })
  .prefault({});

type CheckpointConfig = z.output<typeof checkpointSchema>;

/** The interval that `checkpoint.every` gives. */
export function intervalOf({ every }: CheckpointConfig): Interval {
  if (typeof every === 'number') return { count: every, unit: 'epochs' };
  const [, count, word = ''] = /^(\d+) *(\w+)$/.exec(every) ?? [];
  const unit = (Object.keys(units) as Unit[]).find((name) =>
    (units[name] as readonly string[]).includes(word),
  );
  return { count: Number(count), unit: unit ?? 'epochs' };
}

/** The checkpoints that `checkpoint.keep` and `checkpoint.keepBest` keep. */
export function retentionOf({ keep, keepBest }: CheckpointConfig): Retention {
  const best = new Map<EpochMetric, number>();
  if (keepBest !== undefined) best.set('evalAccuracy', keepBest);
  const rules = { last: 1, everyEpochs: 0 };
  if (typeof keep === 'number') {
    rules.last = keep;
    best.set('evalAccuracy', keepBest ?? 1);
  } else
    for (const rule of [keep].flat()) {
      const [kind, count, , metric = 'evalAccuracy'] = rule.split(/ +/);
      if (kind === 'every') rules.everyEpochs = Number(count);
      else if (kind === 'last') rules.last = Number(count);
      else best.set(metric as EpochMetric, Number(count));
    }
  const kept = [...best].map(([metric, count]) => ({ count, metric }));
  return { ...rules, best: kept.filter(({ count }) => count > 0) };
}

function explainEvery(given: string): string {
  const [, count, word = ''] = /^\s*(\d+)\s*(.*)$/.exec(given) ?? [];
  const meant = count === undefined || count.length > 9 ? undefined : nearest(word.trim(), words);
  return `must be epochs, or such as 500 steps, 10 min, 1 epoch${meant === undefined ? '' : `; did you mean ${count} ${meant}?`}`;
}

function explainKeep(given: string): string {
  const [kind = '', count = '', ...rest] = given.trim().split(/\s+/);
  const meant = nearest(kind, ['last', 'best', 'every']);
  const ending =
    meant === 'best' && rest[0] === 'by'
      ? ` by ${nearest(rest[1] ?? '', epochMetrics) ?? epochMetrics[0]}`
      : '';
  const whole = meant && /^[1-9]\d{0,5}$/.test(count) && (rest.length < 2 || ending !== '');
  const suggested = `; did you mean ${meant} ${count}${meant === 'every' ? ' epochs' : ending}?`;
  return `must be how many stay (0: all), or last 3, best 2, every 10 epochs, or a list of these${whole ? suggested : ''}`;
}
