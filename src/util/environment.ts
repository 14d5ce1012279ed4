/** Values before `setVariables`, of the variables that it has set since the outermost `restoringVariables` began. */
const earlier = new Map<string, string | undefined>();
let depth = 0;

/** Sets variables of this process, for libraries that read their settings nowhere else. */
export function setVariables(variables: Readonly<Record<string, string>> = {}): void {
  for (const [name, value] of Object.entries(variables)) {
    if (depth > 0 && !earlier.has(name)) earlier.set(name, process.env[name]);
    process.env[name] = value;
  }
}

/** Runs `work`, then gives the variables that `setVariables` has set meanwhile their earlier values back. */
export async function restoringVariables<T>(work: () => Promise<T>): Promise<T> {
  depth++;
  try {
    return await work();
  } finally {
    depth--;
    if (depth === 0) restore();
  }
}

function restore(): void {
  for (const [name, value] of earlier) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  earlier.clear();
}
