import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { imageFiles, imageFileSettings, registerDataset, UserError, z } from 'pod-dist';

// Image files that a list names, a line each: train or test, class, path from the list's folder on.
registerDataset({
  name: 'listed-images',
  schema: z.strictObject({
    name: z.literal('listed-images'),
    list: z.string().describe('file of lines "split,class,path"'),
    size: z.int().min(1).max(4096).default(32).describe('images are stretched to size x size pixels'),
    ...imageFileSettings,
  }),
  open: async (config, options) => {
    const lines = (await readFile(config.list, 'utf8')).split('\n').filter((line) => line !== '');
    const rows = lines.map((line, index) => {
      const [split, name, path] = line.split(',');
      if (['train', 'test'].includes(split) && name && path) return { split, name, path };
      throw new UserError('DATA_INVALID', `${config.list}:${index + 1}: not "split,class,path"`);
    });
    const classNames = [...new Set(rows.map(({ name }) => name))].sort();
    const split = (wanted) => {
      const own = rows.filter((row) => row.split === wanted);
      return {
        files: own.map(({ path }) => resolve(dirname(config.list), path)),
        labels: Int32Array.from(own, ({ name }) => classNames.indexOf(name)),
      };
    };
    const index = { classNames, splits: { train: split('train'), test: split('test') } };
    return imageFiles({ ...config, root: dirname(config.list), channels: 3 }, index, options);
  },
});
