/** Summary of each command in one line, for its own help and for the list of all. */
export const summaries = {
  launch: 'train a classifier, with one worker process or several, on this host or on others',
  'lr-find': 'try rising learning rates on the training images, and suggest one',
  worker: 'be one worker of a job that torchrun, Slurm, MPI or pod-dist launch has started',
  sbatch: 'write a script that trains under Slurm, and goes on when its time is over',
  k8s: 'write manifests that train on Kubernetes, or a Dockerfile',
  evaluate: 'measure a checkpoint on its test images: the same numbers for any number of workers',
  predict: "name the classes of images with a checkpoint's model",
  features: 'write the features of images to a file, for NumPy or as safetensors',
  verify: 'judge features on other classes: pairs of images, nearest neighbours',
  export: "write a checkpoint's model for web pages, PyTorch or ONNX runtimes",
  runs: 'list the runs below a folder, and the settings in which they differ',
  status: 'show how far a run has come, and who works on it',
  attach: 'follow a run that works, as the command that has started it does',
  join: 'work for a run that is under way, from this host or another one',
  resize: 'let a run that works go on with another number of workers',
  stop: 'end a run that works, with a checkpoint',
  report: 'draw one run or several, side by side, on one HTML page that needs no network',
  config: 'list recipes, show one as resolved, say what a recipe may hold',
  centroids: 'make class centroids and measure them',
  bench: 'measure this machine',
  data: 'fetch a data set, read one through, show the pixels kept of them, or draw its images',
  bugreport: 'pack what is needed to find the cause of a trouble of a run, without secrets and names',
  doctor: 'show what this machine can train with, and how fast',
  setup: 'build the native TensorFlow addon for this machine (needs python3 with pip, and g++)',
} as const;

export type CommandName = keyof typeof summaries;
