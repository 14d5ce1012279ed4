import { PodDistError } from '../../util/errors.js';

/** Values that the ranks give under one name, until every rank has given its own. */
export class Assembly<T> {
  private readonly open = new Map<string, Map<number, T>>();
  /** Number of names that wait for others, by rank. */
  private readonly given = new Map<number, number>();

  /** @param mostOpen names that may wait for others after one rank has given its value */
  constructor(
    private readonly worldSize: number,
    private readonly mostOpen = 16,
  ) {}

  /**
   * Takes a rank's value; returns all of them by rank, once, when the last one has come.
   *
   * @throws PodDistError `PROTOCOL_ERROR` where the rank gives a name twice, or too many that no other gives
   */
  add(name: string, rank: number, value: T): T[] | undefined {
    const values = this.open.get(name) ?? new Map<number, T>();
    if (values.has(rank)) throw new PodDistError('PROTOCOL_ERROR', `rank ${rank} gave ${name} twice`);
    const given = (this.given.get(rank) ?? 0) + 1;
    if (given > this.mostOpen)
      throw new PodDistError(
        'PROTOCOL_ERROR',
        `rank ${rank} gave ${given} names that the others have not given`,
      );
    this.open.set(name, values);
    this.given.set(rank, given);
    values.set(rank, value);
    if (values.size < this.worldSize) return undefined;
    this.open.delete(name);
    for (const [giver, count] of this.given) this.given.set(giver, count - 1);
    return Array.from({ length: this.worldSize }, (_, index) => values.get(index) as T);
  }
}

/** One line that names the ranks by value where values differ; undefined where all are equal. */
export function disagreement(name: string, values: readonly string[]): string | undefined {
  const groups = new Map<string, number[]>();
  values.forEach((value, rank) => groups.set(value, [...(groups.get(value) ?? []), rank]));
  if (groups.size === 1) return undefined;
  const sides = [...groups].map(
    ([value, ranks]) => `${ranks.length > 1 ? 'ranks' : 'rank'} ${ranks.join(', ')}: ${value.slice(0, 16)}`,
  );
  return `the ranks disagree about the ${name} (${sides.join('; ')}): install the same version and data on every host`;
}
