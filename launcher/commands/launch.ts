import type { Argv, CommandModule } from 'yargs';
import { moduleFlags, plainFlag, recipeFlags, runFlags } from '../flags.js';
import { hostFlags } from '../host-flags.js';
import { summaries } from '../summaries.js';
import type { LaunchArguments } from '../actions/launch.js';

export const launchCommand: CommandModule<object, LaunchArguments> = {
  command: 'launch',
  describe: summaries.launch,
  builder: (yargs) =>
    (yargs.options({ ...recipeFlags(), ...runFlags }) as Argv<LaunchArguments>)
      .option('gpus', {
        type: 'string',
        alias: 'g',
        requiresArg: true,
        conflicts: 'workers',
        describe: 'workers, one a GPU, or all (on the CPU where there is no GPU)',
      })
      .options(moduleFlags)
      .option('dry-run', {
        type: 'boolean',
        default: false,
        describe: 'check everything, measure a few steps, print what the run would take, and train nothing',
      })
      .options(hostFlags)
      .option('ui', {
        type: 'boolean',
        default: false,
        describe: 'show the run on a live page of this machine, as pod-dist ui does, until the launch ends',
      })
      .option('no-open', {
        type: 'boolean',
        default: false,
        describe: 'with --ui: print the link only, open no browser',
      })
      .option('plain', plainFlag)
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'print the report as JSON, and nothing else, on standard output',
      })
      .example('$0 launch --hosts a:4,b:4 --out /nfs/faces', 'four workers on each of two hosts, by ssh')
      .example(
        '$0 launch --nnodes 2 --node-rank 0 --rendezvous a:29500 --workers 4',
        'the workers of this host; the same line with --node-rank 1 starts those of the other',
      )
      .example('$0 launch --workers 4', 'train the embedded digits with four workers')
      .example('$0 launch --config faces.yaml --dry-run', 'how long it would take, and how much memory')
      .example(
        '$0 launch --workers 2:4 --spares 1',
        'go on in place when a worker is lost, with two at least',
      )
      .example(
        '$0 launch --gpus 2 --config cifar10-resnet20 --set data.root=./cifar10',
        'train on an image folder, a worker a GPU',
      )
      .example(
        '$0 launch --resume --out runs/digits --epochs 60',
        'go on with a run, for 60 epochs in all',
      ) as Argv<LaunchArguments>,
  handler: async (args) => (await import('../actions/launch.js')).launch(args),
};
