import { z } from 'zod';
import { readPortRange } from '../transport/ports.js';
import { securities } from '../transport/security.js';
import { upTo, zeroTo } from '../util/bounds.js';
import { algorithmNames } from './algorithm-names.js';
import { lanes } from './streams.js';

/** Timers hold 24 days at most. */
const seconds = z.number().positive().max(1_000_000);
/** Bytes that a message may have. */
const mostBytes = 2 ** 31;

export const distributedSchema = z.strictObject({
  transport: z
    .enum(['auto', 'ipc', 'tcp'])
    .default('auto')
    .describe('auto: ipc on one host, tcp across hosts'),
  host: z
    .string()
    .min(1)
    .max(255)
    .default('127.0.0.1')
    .describe(
      'address that the coordinator of launch and tcp connections listen on; in a job over hosts the default, and 0.0.0.0, is the one on the route to MASTER_ADDR',
    ),
  port: zeroTo(65_535).default(0).describe("the coordinator's port; 0: any free one"),
  dataPorts: z
    .string()
    .max(20)
    .refine((text) => readPortRange(text) !== undefined, 'must be a range of ports, such as 20000-20100')
    .optional()
    .describe(
      'ports for tcp connections, such as 20000-20100; a worker takes four for each higher rank on another host; default: any free ones',
    ),
  security: z
    .enum(securities)
    .default('encrypted')
    .describe(
      'of data between hosts: encrypted (AES-256-GCM), authenticated (GMAC: no secrecy), curve (as encrypted, by ZeroMQ), network (strangers are kept out, and a private network does the rest)',
    ),
  bindCores: z
    .boolean()
    .default(true)
    .describe('hold each worker on the CPU to its own share of the cores (Linux, with taskset)'),
  joinTimeoutSeconds: seconds.default(120).describe('until every worker has joined'),
  collectiveTimeoutSeconds: seconds.default(300).describe('of one collective'),
  stallTimeoutSeconds: seconds
    .default(60)
    .describe('without a sign of life or progress, before a worker counts as stalled'),
  phaseTimeoutSeconds: seconds
    .default(1800)
    .describe(
      'without progress where work may take long: starting the backend, opening the data set, building the model, saving a checkpoint, summing up an evaluation',
    ),
  stallWarningSeconds: seconds
    .default(10)
    .describe('a worker that others wait for longer than this is named on the console'),
  checkCollectives: z
    .boolean()
    .default(false)
    .describe(
      'compare every collective over the workers before it, and name both call sites where they differ',
    ),
  bitwise: z
    .int()
    .min(2)
    .max(64)
    .refine((most) => Number.isInteger(Math.log2(most)), 'must be a power of two, such as 4')
    .optional()
    .describe(
      'a power of two: train to the same bits, not only to rounding, with 1, 2, 4, ... and up to this many workers; every batch is computed in this many parts',
    ),
  threads: upTo(1024)
    .optional()
    .describe(
      'threads that native TensorFlow computes with on the CPU, in each worker; default: its share of the cores, with bitwise one, since bits are equal for equal numbers of threads',
    ),
  wire: z
    .enum(['float32', 'bf16'])
    .default('float32')
    .describe('how gradients travel: bf16 halves the bytes, with error feedback'),
  overlap: z
    .enum(['auto', 'on', 'off'])
    .default('auto')
    .describe(
      'gradients and weights travel while the workers compute; off: between steps, which takes less processor time within a host; auto: off where all workers compute on the CPUs of one host',
    ),
  bucketBytes: upTo(mostBytes)
    .optional()
    .describe(
      'about this many bytes of gradients, or weights, travel together; default: with overlap a 16th of them, from 128 KiB to 4 MiB, else 4 MiB',
    ),
  bucketsInFlight: upTo(lanes.length)
    .default(lanes.length)
    .describe('buckets that may travel at the same time: while one waits for a hop, another uses the link'),
  algorithm: z
    .enum(['auto', ...algorithmNames])
    .default('auto')
    .describe(
      'of collectives, wherever it can carry them out; auto: by their size, the workers and their hosts, see the limits below',
    ),
  sharedMemory: z
    .enum(['auto', 'off'])
    .default('auto')
    .describe(
      'workers of one host exchange values in memory that all of them map, where pod-dist setup has compiled it (auto), or through pipes and files (off)',
    ),
  urgentBytes: zeroTo(mostBytes)
    .default(65_536)
    .describe(
      'what a step waits for and is at most this long, such as the sums of batch norm, does not queue behind gradients: it has connections of its own',
    ),
  pipeBytes: zeroTo(mostBytes)
    .default(49_152)
    .describe('a blocking sum on one host takes one shot where a worker sends at most this much, else two'),
  directBytes: zeroTo(mostBytes)
    .default(131_072)
    .describe('a small all-reduce may send this much more than the least possible, to save a hop'),
  ringBytes: zeroTo(mostBytes)
    .default(1_572_864)
    .describe('from this payload on collectives use the ring, below it every rank talks to every other'),
  hopBytes: zeroTo(mostBytes)
    .default(131_072)
    .describe(
      'bytes that a link between hosts carries in the time of a hop, latency times rate: over four hosts and more the algorithm is taken that this makes the cheapest',
    ),
  messageBytes: zeroTo(mostBytes)
    .default(32_768)
    .describe('the same, in the time that a worker needs to send and receive a message'),
  hierarchicalBytes: zeroTo(mostBytes)
    .default(65_536)
    .describe(
      'from this payload on collectives go within hosts and across in separate phases, where ranks share hosts',
    ),
});
