import type { Argv, CommandModule } from 'yargs';
import { scriptOf, shells, type Shell } from '../completion/scripts.js';
import { summaries } from '../summaries.js';

export const completionCommand: CommandModule<object, { shell: Shell }> = {
  command: 'completion <shell>',
  describe: summaries.completion,
  builder: (yargs) =>
    yargs
      .positional('shell', { choices: shells, demandOption: true, describe: 'the shell that is to complete' })
      .example('source <($0 completion bash)', 'in ~/.bashrc; in ~/.zshrc with zsh, after compinit')
      .example(
        '$0 completion fish > ~/.config/fish/completions/pod-dist.fish',
        'for fish',
      ) as unknown as Argv<{ shell: Shell }>,
  handler: ({ shell }) => void process.stdout.write(scriptOf(shell)),
};
