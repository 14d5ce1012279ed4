import { allReduce } from './all-reduce.js';
import { memory } from './memory.js';
import { sharded } from './sharded.js';
import { step } from './step.js';
import { training } from './training.js';

/** Tasks that the ranks of a benchmark can run. */
export const tasks = { allReduce, memory, sharded, step, training };

export type Tasks = typeof tasks;
export type TaskName = keyof Tasks;
export type Task = { [K in TaskName]: Parameters<Tasks[K]>[1] & { name: K } }[TaskName];
export type TaskResults = { [K in TaskName]: Awaited<ReturnType<Tasks[K]>> };
