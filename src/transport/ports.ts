/** TCP ports from `first` to `last`, both included. */
export interface PortRange {
  first: number;
  last: number;
}

const pattern = /^(\d{1,5})-(\d{1,5})$/;

/** Reads `20000-20100`; undefined where the text is no range of ports. */
export function readPortRange(text: string): PortRange | undefined {
  const [, first = 0, last = 0] = (pattern.exec(text) ?? []).map(Number);
  return first >= 1 && last >= first && last <= 65_535 ? { first, last } : undefined;
}

/** All ports of a range, beginning at a place of its own for each rank. */
export function* portsFrom({ first, last }: PortRange, rank: number): Generator<number> {
  const size = last - first + 1;
  for (let index = 0; index < size; index++) yield first + ((rank * 64 + index) % size);
}
