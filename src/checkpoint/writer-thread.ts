import { readlinkSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { basename } from 'node:path';
import { parentPort, workerData, type MessagePort } from 'node:worker_threads';
import type { Retention } from '../config/checkpoint-schema.js';
import type { EvaluationTotals } from '../evaluation/totals.js';
import { messageOf } from '../util/errors.js';
import { pruneCheckpoints } from './checkpoints.js';
import { reasonOf, type Described } from './files.js';
import {
  discardCheckpoint,
  finishCheckpoint,
  writeShard,
  type Destination,
  type Finish,
  type FinishOne,
  type RunFacts,
} from './save.js';
import { saveEvaluation } from './stored-evaluation.js';

/** Tasks of the thread; `done` gives the result of each. */
export type WriterTask =
  | { kind: 'shard'; to: Destination; rank: number; numbers: Float32Array }
  | { kind: 'finish'; to: Destination; finish: FinishOne }
  | { kind: 'discard'; to: Destination }
  | { kind: 'evaluation'; folder: string; totals: EvaluationTotals }
  | { kind: 'prune'; runFolder: string; rules: Retention; written: string };

export type WriterAnswer =
  { id: number; done: Described | string | undefined } | { id: number; failed: string };

/** Writes checkpoints beside the training, one task after another. */
async function perform(task: WriterTask): Promise<Described | string | undefined> {
  switch (task.kind) {
    case 'shard':
      return writeShard(task.to, task.rank, [task.numbers]);
    case 'finish':
      return finishCheckpoint(task.to, whole(task.finish));
    case 'discard':
      await discardCheckpoint(task.to);
      return undefined;
    case 'evaluation':
      await saveEvaluation(task.folder, task.totals);
      return undefined;
    case 'prune':
      await pruneCheckpoints(task.runFolder, task.rules, task.written);
      return undefined;
  }
}

function whole(one: FinishOne): Finish {
  const { about, modules } = workerData as RunFacts;
  return { ...one, modules, about: { ...about, ...one.about } };
}

/** Leaves the processors to the training wherever it wants them: threads of Linux have priorities of their own. */
function giveWay(): void {
  try {
    setPriority(Number(basename(readlinkSync('/proc/thread-self'))), constants.priority.PRIORITY_LOW);
  } catch {
    // Elsewhere a priority is that of the whole process.
  }
}

giveWay();
const port = parentPort as MessagePort;
let last = Promise.resolve();

port.on('message', ({ id, task }: { id: number; task: WriterTask }) => {
  last = last.then(async () => {
    const answer: WriterAnswer = await perform(task).then(
      (done) => ({ id, done }),
      (error: unknown) => ({ id, failed: reasonOf(error) || messageOf(error) }),
    );
    port.postMessage(answer);
  });
});
