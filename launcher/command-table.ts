import type { CommandModule } from 'yargs';
import type { CommandName } from './summaries.js';

/** Commands, loaded only when one is named: help does not start TensorFlow. */
export const commands: Readonly<
  Record<CommandName | 'agent' | 'host', () => Promise<CommandModule<object, never>>>
> = {
  launch: async () => (await import('./commands/launch.js')).launchCommand as never,
  init: async () => (await import('./commands/init.js')).initCommand as never,
  'lr-find': async () => (await import('./commands/lr-find.js')).lrFindCommand as never,
  worker: async () => (await import('./commands/worker.js')).workerCommand as never,
  sbatch: async () => (await import('./commands/sbatch.js')).sbatchCommand as never,
  k8s: async () => (await import('./commands/k8s.js')).k8sCommand as never,
  evaluate: async () => (await import('./commands/evaluate.js')).evaluateCommand as never,
  predict: async () => (await import('./commands/predict.js')).predictCommand as never,
  features: async () => (await import('./commands/features.js')).featuresCommand as never,
  verify: async () => (await import('./commands/verify.js')).verifyCommand as never,
  export: async () => (await import('./commands/export.js')).exportCommand as never,
  runs: async () => (await import('./commands/runs.js')).runsCommand as never,
  status: async () => (await import('./commands/status.js')).statusCommand as never,
  attach: async () => (await import('./commands/attach.js')).attachCommand as never,
  join: async () => (await import('./commands/join.js')).joinCommand as never,
  resize: async () => (await import('./commands/resize.js')).resizeCommand as never,
  stop: async () => (await import('./commands/stop.js')).stopCommand as never,
  report: async () => (await import('./commands/report.js')).reportCommand as never,
  ui: async () => (await import('./commands/ui.js')).uiCommand as never,
  config: async () => (await import('./commands/config.js')).configCommand as never,
  centroids: async () => (await import('./commands/centroids.js')).centroidsCommand as never,
  bench: async () => (await import('./commands/bench.js')).benchCommand as never,
  data: async () => (await import('./commands/data.js')).dataCommand as never,
  explain: async () => (await import('./commands/explain.js')).explainCommand as never,
  bugreport: async () => (await import('./commands/bugreport.js')).bugreportCommand as never,
  completion: async () => (await import('./commands/completion.js')).completionCommand as never,
  doctor: async () => (await import('./commands/doctor.js')).doctorCommand as never,
  setup: async () => (await import('./commands/setup.js')).setupCommand as never,
  host: async () => (await import('./commands/host.js')).hostCommand as never,
  agent: async () => (await import('./commands/agent.js')).agentCommand as never,
};
