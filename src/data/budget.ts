/**
 * Lets work begin while the weights of what is under way fit a limit; a piece of work heavier than that runs alone.
 * First come, first served.
 */
export class Budget {
  private used = 0;
  private readonly waiting: { weight: number; begin(): void }[] = [];

  constructor(private readonly limit: number) {}

  async run<T>(weight: number, work: () => Promise<T>): Promise<T> {
    if (this.waiting.length > 0 || !this.fits(weight))
      await new Promise<void>((begin) => this.waiting.push({ weight, begin }));
    else this.used += weight;
    try {
      return await work();
    } finally {
      this.used -= weight;
      this.admit();
    }
  }

  private fits(weight: number): boolean {
    return this.used === 0 || this.used + weight <= this.limit;
  }

  private admit(): void {
    while (this.waiting.length > 0 && this.fits(this.waiting[0].weight)) {
      const [{ weight, begin }] = this.waiting.splice(0, 1);
      this.used += weight;
      begin();
    }
  }
}

/** Results of `work` for each item, in order, with at most `count` items under way. */
export async function mapAtMost<Item, Result>(
  count: number,
  items: readonly Item[],
  work: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const results = new Array<Result>(items.length);
  let next = 0;
  const take = async () => {
    while (next < items.length) {
      const index = next++;
      results[index] = await work(items[index], index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(count, items.length) }, take));
  return results;
}
