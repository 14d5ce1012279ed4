import { candidatesFor } from './candidates.js';
import { filesToo } from './scripts.js';

/**
 * Prints what may stand in place of the last word, a line each: for bash and zsh from behind its last `=` on, where they
 * begin a word; for zsh and fish with a tab and what it means.
 */
export async function printCandidates([shell = '', ...words]: readonly string[]): Promise<void> {
  const whole = joined(words);
  const { candidates, files } = await candidatesFor(whole);
  const cut = shell === 'fish' ? 0 : (whole.at(-1) ?? '').lastIndexOf('=') + 1;
  const lines = candidates.map(({ value, description = '' }) =>
    shell === 'bash' ? value.slice(cut) : `${value.slice(cut)}\t${description}`,
  );
  for (const line of [...lines, ...(files ? [filesToo] : [])]) process.stdout.write(`${line}\n`);
}

/** Words as the command gets them: bash makes `=` a word of its own. */
function joined(words: readonly string[]): string[] {
  const whole: string[] = [];
  let open = false;
  for (const word of words) {
    const last = whole.length - 1;
    if (word === '=' && last >= 0) {
      whole[last] += word;
      open = true;
    } else if (open) {
      whole[last] += word;
      open = false;
    } else {
      whole.push(word);
    }
  }
  return whole;
}
