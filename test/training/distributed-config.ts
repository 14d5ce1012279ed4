import { configSchema, type Config } from '../../src/config/schema.js';

/** A configuration with these settings of `distributed`. */
export function distributedConfig(distributed: object): Config {
  return configSchema.parse({
    data: { name: 'digits' },
    model: { name: 'small-cnn' },
    learningRate: { schedule: 'constant', rate: 1 },
    distributed,
  });
}
