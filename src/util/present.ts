/** The value of something that is always there; a mistake in pod-dist, where it is not, ends here and names it. */
export function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`${what} is missing`);
  return value;
}
