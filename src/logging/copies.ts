import { CheckpointCopies } from '../checkpoint/copies.js';
import type { SinkKind } from './sink.js';

/** How long the start of a run waits for the server; what takes longer is tried again beside the training. */
const patience = { tries: 3, tryMs: 5000 };

/** Keeps copies of a run's checkpoints at `checkpoint.copyTo`. What there is to send is in the run's folder. */
export const copies: SinkKind = {
  open: async ({ folder, config }, { kept, keep }) => {
    const { copyTo = '' } = config.checkpoint;
    const own = new CheckpointCopies(folder, copyTo);
    if (kept !== copyTo) await own.begin(patience);
    keep(copyTo);
    return { write: () => own.update(), close: () => own.update() };
  },
};
