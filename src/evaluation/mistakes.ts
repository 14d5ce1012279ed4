import { z } from 'zod';

const whole = z.int().min(0);

export const mistakeSchema = z.object({
  image: whole.describe('place among the test images'),
  label: whole,
  nearest: z
    .array(z.object({ label: whole, score: z.number() }))
    .min(1)
    .max(5)
    .describe('the nearest classes, the best first, by cosine or probability'),
});

/** A test image that belongs to another class than it was assigned to. */
export type Mistake = z.output<typeof mistakeSchema>;

/** Mistakes of an evaluation that are kept. */
export const mostMistakes = 24;

/**
 * The mistakes of the largest margin between the best class and the second best, the surest first; of equal ones the first
 * image's comes first. So the choice does not depend on who has computed which image.
 */
export function surest(mistakes: readonly Mistake[]): Mistake[] {
  const margin = ({ nearest: [first, second] }: Mistake) => (first?.score ?? 0) - (second?.score ?? 0);
  return mistakes.toSorted((a, b) => margin(b) - margin(a) || a.image - b.image).slice(0, mostMistakes);
}
