import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { LocalCommunicator } from '../../src/collective/local-communicator.js';
import { broadcastValue } from '../../src/training/broadcast-value.js';

const schema = z.object({ steps: z.int().min(0), name: z.string() });

describe('broadcastValue', () => {
  const communicator = new LocalCommunicator();

  it('delivers the value unchanged', async () => {
    for (const name of ['', 'é', 'x'.repeat(1000)])
      expect(await broadcastValue(schema, { steps: 3, name }, 0, communicator)).toEqual({ steps: 3, name });
  });

  it('rejects a value that does not match the schema', async () => {
    for (const steps of [-1, 0.5, NaN])
      await expect(broadcastValue(schema, { steps, name: 'a' }, 0, communicator)).rejects.toMatchObject({
        code: 'PROTOCOL_ERROR',
      });
    await expect(broadcastValue(schema, undefined, 0, communicator)).rejects.toMatchObject({
      code: 'PROTOCOL_ERROR',
    });
  });
});
