import { z } from 'zod';
import { mostEpochs, upTo } from '../util/bounds.js';
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
  /** Those of the best accuracy, of equal ones the newer. */
  best: number;
  /** Those after each so many epochs; 0: none of these. */
  everyEpochs: number;
}

const words = Object.values(units).flat();
const everyPattern = new RegExp(`^[1-9][0-9]{0,8} *(?:${words.join('|')})$`);
const keepPattern = /^(?:(?:last|best) +[1-9][0-9]{0,5}|every +[1-9][0-9]{0,5} +epochs?)$/;

const everyText = z
  .string()
  .regex(everyPattern, { error: ({ input }) => explainEvery(String(input)) })
  .describe('such as 500 steps, 10 min, 1 epoch');
const keepText = z
  .string()
  .regex(keepPattern, { error: ({ input }) => explainKeep(String(input)) })
  .describe('last 3, best 2, every 10 epochs');

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
        'newest checkpoints kept (0: all), or last 3, best 2, every 10 epochs, or a list of these; the newest stays always',
      ),
    keepBest: z
      .int()
      .min(0)
      .max(mostEpochs)
      .optional()
      .describe('checkpoints kept besides: those of the best accuracy; default: 1 where keep is a number'),
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
  if (typeof keep === 'number') return { last: keep, best: keepBest ?? 1, everyEpochs: 0 };
  const rules: Retention = { last: 1, best: keepBest ?? 0, everyEpochs: 0 };
  for (const rule of [keep].flat()) {
    const [kind, count] = rule.split(/ +/);
    if (kind === 'every') rules.everyEpochs = Number(count);
    else rules[kind as 'last' | 'best'] = Number(count);
  }
  return rules;
}

function explainEvery(given: string): string {
  const [, count, word = ''] = /^\s*(\d+)\s*(.*)$/.exec(given) ?? [];
  const meant = count === undefined || count.length > 9 ? undefined : nearest(word.trim(), words);
  return `must be epochs, or such as 500 steps, 10 min, 1 epoch${meant === undefined ? '' : `; did you mean ${count} ${meant}?`}`;
}

function explainKeep(given: string): string {
  const [kind = '', count = '', ...rest] = given.trim().split(/\s+/);
  const meant = nearest(kind, ['last', 'best', 'every']);
  const whole = meant && /^[1-9]\d{0,5}$/.test(count) && rest.length < 2;
  const suggested = `; did you mean ${meant} ${count}${meant === 'every' ? ' epochs' : ''}?`;
  return `must be how many stay (0: all), or last 3, best 2, every 10 epochs, or a list of these${whole ? suggested : ''}`;
}
