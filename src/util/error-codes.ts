/** Something given is wrong: the message says what to change, and nothing has been lost or half written. */
const input = {
  USAGE: 'flags or arguments that the command does not take',
  CONFIG_NOT_FOUND: 'no such recipe',
  CONFIG_INVALID: 'a recipe, --set or flag that the schema refuses',
  FILE_UNUSABLE: 'a file or folder that was named cannot be read or written',
  ENVIRONMENT_INVALID: "a job launcher's variables are missing, half set or contradictory",
  HOST_UNUSABLE: 'a host of the job is not reached, or has another pod-dist, recipe or path',
  ADDRESS_INVALID: 'the coordinator cannot listen on the address given',
  PORT_IN_USE: "the coordinator's port is taken",
  BACKEND_UNAVAILABLE: 'the backend asked for does not start on this machine',
  PRECISION_UNAVAILABLE: 'the backend cannot compute in the precision asked for, or is slower in it',
  GPU_UNAVAILABLE: 'fewer GPUs than asked for, or none that the backend can use',
  SETUP_FAILED: 'pod-dist setup misses something, or could not build',
  ROOM_MISSING: 'a disk has too little room for what is to be fetched',
  LINK_UNAVAILABLE: 'this machine cannot shape a link for a benchmark',
  DATA_NOT_FOUND: 'a folder or file of a data set is not there, or cannot be read',
  DATA_INVALID: 'a data set is not as its format has it',
  DATA_EXISTS: 'the folder to fetch a data set into already holds files',
  DATA_NOT_OFFERED: 'no such data set can be fetched',
  DECODER_MISSING: 'the library that decodes images is not installed for this machine',
  IMAGE_INVALID: 'an image file cannot be decoded',
  IMAGES_NOT_SQUARE: 'the model takes no image files, since its images are not square',
  NO_IMAGES: 'a folder holds no images',
  MODEL_NOT_FOUND: 'no such module of a backbone',
  MODEL_INVALID: 'a backbone that does not fit',
  PLUGIN_NOT_FOUND: 'no such plug-in',
  PLUGIN_INVALID: 'a plug-in that cannot be imported, registers nothing, or something that does not fit',
  CENTROIDS_INVALID: 'classes, dimensions, seed or file that no centroids can be made of',
  CENTROID_FILE_INVALID: 'centroids cannot be written to this file',
  SHAPE_MISMATCH: 'tensors whose shapes do not belong together',
  LABEL_OUT_OF_RANGE: 'a label that is no class',
  RUN_NOT_FOUND: 'no such run',
  RUN_EXISTS: 'the run folder already holds files',
  RUN_BUSY: 'another job holds the run folder',
  RUN_FOLDER_INVALID: 'the run folder cannot be made',
  RUN_FOLDER_UNWRITABLE: 'the run folder cannot be written to: no space is left, or no permission given',
  RUN_COMPLETE: 'the run to go on with has trained all its epochs',
  MODULE_NOT_ALLOWED: 'a checkpoint names a module that has not been trained with on this machine',
  CHECKPOINT_NOT_FOUND: 'no checkpoint there',
  CHECKPOINT_CORRUPT: 'a checkpoint that is not what was written',
  CHECKPOINT_MISMATCH: 'a checkpoint of another model, data set or recipe',
  WEIGHTS_INVALID: 'a file of weights that cannot be read, or holds what is not allowed',
  WEIGHTS_MISMATCH: 'weights to start from that do not fit the model',
  TRACE_FILE_INVALID: 'a trace cannot be written to this file',
  EXPORT_EXISTS: 'the folder to export to already holds files',
  EXPORT_UNSUPPORTED: 'the format has no word for a layer of this model',
  EXPORT_TOO_LARGE: 'the model is larger than the format allows',
  EXPORT_FAILED: 'an export cannot be written',
  INVALID_RESULTS: 'a file of benchmark results that is none',
} as const;

/** A job has been stopped: its checkpoints are whole, and `--resume` goes on once the cause is gone. */
const job = {
  STOPPED: 'a signal has stopped the job, or the program that started it',
  PREEMPTED:
    'the time is over, or a signal has asked for the end: a checkpoint is written, and --resume goes on from it',
  CHECKPOINT_MISSED: 'a checkpoint could not be written; the training went on without it',
  START_FAILED: 'a worker process could not be started',
  KILLED: 'a signal has ended a worker',
  EXITED: 'a worker has ended by itself',
  STALLED: 'a worker shows no sign of life, or of progress',
  PEER_LOST: 'the connection to another rank has ended',
  PEER_LOST_BY_OTHERS: 'other ranks have lost the connection to this one',
  HOST_LOST: 'the connection to a host that this command has started workers on has ended',
  JOB_ABORTED: 'another rank has failed, and the job with it',
  JOIN_TIMEOUT: 'not every worker has joined in time',
  JOIN_REFUSED: 'the coordinator does not take this worker',
  MESH_FAILED: 'ranks cannot connect to each other',
  COORDINATOR_LOST: 'the connection to the coordinator has ended',
  COORDINATOR_FAILED: 'the coordinator has failed',
  COMMUNICATION_FAILED: 'a communication thread has failed',
  MESSAGE_NOT_SENT: 'a message to the coordinator or to a worker cannot be sent',
  COLLECTIVE_TIMEOUT: 'a collective has not ended by its deadline',
  COLLECTIVE_FAILED: 'a collective could not be carried out',
  RUN_FOLDER_LOST: 'the run folder was emptied, or another job has taken it',
  LOSS_NOT_FINITE: 'the loss is not a finite number',
  GRADIENT_NOT_FINITE: 'a gradient is not finite; the message names the parameter and the step',
  GPU_FAILED: 'the GPU has failed, or has run out of memory',
  OUT_OF_MEMORY: 'memory for communication, or of the wasm backend, is used up',
  RANKS_DISAGREE: 'ranks do not have the same data, centroids or weights',
  REFORMING: 'the ranks of an elastic job begin again without one that was lost, or with others',
  SILENT_CORRUPTION:
    'a step that was made again has not come to the same loss: a processor or memory is at fault',
} as const;

/** Downloads and machines: trying again later, or elsewhere, may help. */
const again = {
  DOWNLOAD_FAILED: 'an address cannot be reached, or breaks off; what has come is kept',
  CHECKSUM_MISMATCH: 'a download is not the file that was published',
  ARCHIVE_INVALID: 'a downloaded archive cannot be unpacked',
  DATA_BROKEN: 'a data set holds files that cannot be read',
  BENCHMARK_FAILED: 'a benchmark could not be carried out',
} as const;

/** A program breaks a rule of the interface that it calls, or pod-dist itself does. */
const program = {
  COLLECTIVE_MISMATCH: 'ranks do not call the same collectives in the same order',
  COMMUNICATOR_CLOSED: 'a call on a communicator, or a membership, that has been closed',
  WIRE_UNSUPPORTED: 'a collective that cannot travel as bfloat16',
  MODEL_UNSUPPORTED: 'a model with layers that are used more than once',
  NOT_FINITE: 'a number that is to be finite is not',
  NOT_IN_ARENA: 'an array that communicator.allocate has not made',
  NOT_SUPPORTED: 'values that the backend cannot give',
  KERNEL_UNSUPPORTED: 'a kernel that a program cannot hold',
  PROTOCOL_ERROR: "a message that is not pod-dist's",
  TOTALS_MISMATCH: 'ranks have counted different classes',
  UNEXPECTED: 'what pod-dist has not foreseen',
} as const;

/**
 * Every code that an error of pod-dist may carry and what it means, in groups by what helps. Codes are stable: programs
 * may compare them.
 *
 * @example
 * import { errorCodes } from 'pod-dist';
 *
 * console.log(errorCodes.input.CONFIG_INVALID);
 */
export const errorCodes = { input, job, again, program } as const;

/** A code of `errorCodes`. */
export type ErrorCode = {
  [Group in keyof typeof errorCodes]: keyof (typeof errorCodes)[Group];
}[keyof typeof errorCodes];

/** Every code with its meaning, in the order of the groups. */
export function everyCode(): [code: ErrorCode, meaning: string][] {
  return Object.values(errorCodes).flatMap((group) => Object.entries(group) as [ErrorCode, string][]);
}

/** A code that another process or thread has sent. */
export function readCode(text: string): ErrorCode {
  const known = Object.values(errorCodes).some((group) => Object.hasOwn(group, text));
  return known ? (text as ErrorCode) : 'UNEXPECTED';
}
