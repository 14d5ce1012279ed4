import type { CommandModule } from 'yargs';

/** Works for `launch --hosts` of another host: that starts it, people do not. */
export const hostCommand: CommandModule<object, object> = {
  command: 'host',
  describe: false,
  handler: async () => (await import('../actions/host.js')).host(),
};
