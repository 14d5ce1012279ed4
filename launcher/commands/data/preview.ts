import { sync as writeFileAtomicSync } from 'write-file-atomic';
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs';
import { loadConfig } from '../../../src/config/load.js';
import { importPlugins } from '../../../src/config/plugins.js';
import { previewImages } from '../../../src/data/preview.js';
import { UserError } from '../../../src/util/errors.js';
import { requireReplaceable } from '../../../src/util/regular-file.js';
import { overrides, recipeFlags } from '../../flags.js';

interface PreviewArguments {
  config?: string;
  set: string[];
  out: string;
  images: number;
  epochs: number;
  json: boolean;
}

/** Images and epochs of a sheet, at most. */
const most = { images: 64, epochs: 32 };

export const previewCommand: CommandModule<object, PreviewArguments> = {
  command: 'preview',
  describe: 'draw training images as they are, and as training sees them in its first epochs',
  builder: (yargs) => {
    const { config, set, seed } = recipeFlags();
    return yargs
      .options({ config, set, seed } as Record<string, object>)
      .option('out', {
        type: 'string',
        demandOption: true,
        requiresArg: true,
        describe: 'the picture, a PNG file',
      })
      .option('images', {
        type: 'number',
        default: 8,
        requiresArg: true,
        describe: 'training images, a row each',
      })
      .option('epochs', {
        type: 'number',
        default: 6,
        requiresArg: true,
        describe: 'epochs, a column each, behind the images as they are',
      })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'print the result as JSON, and nothing else',
      })
      .example(
        '$0 data preview --config cifar10-strong --out sheet.png',
        'what a recipe makes of its images',
      ) as unknown as Argv<PreviewArguments>;
  },
  handler: preview,
};

async function preview(args: ArgumentsCamelCase<PreviewArguments>): Promise<void> {
  const { out, images, epochs, json } = args;
  for (const [flag, value] of Object.entries({ images, epochs })) {
    const limit = most[flag as keyof typeof most];
    if (!Number.isInteger(value) || value < 1 || value > limit)
      throw new UserError('USAGE', `--${flag}: a whole number from 1 to ${limit}`);
  }
  requireReplaceable(out);
  const { epochs: _, ...flags } = args;
  const given = { file: args.config, set: args.set, flags: overrides(flags) };
  await importPlugins(given);
  const { data, seed } = loadConfig(given);
  const notify = (line: string) => void process.stderr.write(`${line}\n`);
  const { png, ...found } = await previewImages({ data, seed, images, epochs, notify });
  writeFileAtomicSync(out, png);
  const { images: rows, width, height } = found;
  process.stdout.write(
    json
      ? `${JSON.stringify({ out, epochs, ...found })}\n`
      : `${out}: ${rows} images, as they are and in ${epochs} epochs, ${width}x${height} pixels\n`,
  );
}
