import { largestFile } from './image-file.js';

/** Milliseconds that standard input may be silent. */
const silence = 60_000;

/** All of standard input; throws where it is a terminal, too large, silent for a minute, or was read before. */
export async function readStandardInput(): Promise<Uint8Array> {
  const { stdin } = process;
  if (stdin.isTTY) throw new Error('it is a terminal: pipe an image into the command');
  if (stdin.readableEnded) throw new Error('it holds one image, which has been read');
  const parts: Buffer[] = [];
  let length = 0;
  const silent = () => stdin.destroy(new Error('nothing has come for a minute'));
  let timer = setTimeout(silent, silence);
  try {
    for await (const part of stdin) {
      clearTimeout(timer);
      timer = setTimeout(silent, silence);
      parts.push(part as Buffer);
      length += (part as Buffer).length;
      if (length > largestFile) throw new Error('it has more than 1 GiB');
    }
  } finally {
    clearTimeout(timer);
  }
  return Buffer.concat(parts);
}
