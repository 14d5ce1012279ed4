import type { Argv, CommandModule } from 'yargs';
import type { AgentArguments } from '../actions/agent.js';

/** Runs the job of a run folder whose plan is there: `launch` and workers start it, people do not. */
export const agentCommand: CommandModule<object, AgentArguments> = {
  command: 'agent <run>',
  describe: false,
  builder: (yargs) =>
    yargs
      .positional('run', { type: 'string', demandOption: true, describe: 'run folder' })
      .option('lost-at', { type: 'number', describe: 'take over from an agent that was lost then' })
      .option('not-before', { type: 'number', describe: 'time before which it takes over nothing' })
      .option('depose', { type: 'number', describe: 'term of that agent, which is ended if it is silent' })
      .option('host', {
        type: 'string',
        describe: 'address of this host, as others reach it',
      }) as Argv<AgentArguments>,
  handler: async (args) => (await import('../actions/agent.js')).agent(args),
};
