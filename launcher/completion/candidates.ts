import yargs, { type Argv, type CommandModule } from 'yargs';
import { commands } from '../command-table.js';
import { summaries } from '../summaries.js';
import { positionalValues, valuesOf } from './values.js';

export interface Candidate {
  value: string;
  description?: string;
}

export interface Candidates {
  candidates: Candidate[];
  /** Whether files may stand there, too. */
  files: boolean;
}

/** A command as yargs knows it, with what it is part of: `data fetch`. */
interface Declared {
  path: string[];
  options: Readonly<Record<string, Option>>;
  subcommands: Readonly<Record<string, Subcommand>>;
  positionals: readonly string[];
}

interface Option {
  description: string;
  type: 'boolean' | 'number' | 'string';
  choices?: readonly string[];
  aliases: readonly string[];
  repeatable: boolean;
}

type Subcommand = Pick<CommandModule, 'builder'> & { original: string; description: string | false };

/** What yargs keeps of flags and commands, and has no types for. */
interface YargsState {
  getOptions(): {
    key: Record<string, boolean>;
    alias: Record<string, string[]>;
    choices: Record<string, readonly string[]>;
    array: string[];
    boolean: string[];
    number: string[];
    hiddenOptions: string[];
  };
  getInternalMethods(): {
    getUsageInstance(): { getDescriptions(): Record<string, string> };
    getCommandInstance(): { getCommandHandlers(): Record<string, Subcommand> };
  };
}

/** What may stand in place of the last of the words that follow `pod-dist`, which may be empty. */
export async function candidatesFor(words: readonly string[]): Promise<Candidates> {
  const before = words.slice(0, -1);
  const current = words.at(-1) ?? '';
  const [name = ''] = before;
  if (before.length === 0) return only(current, Object.entries(summaries));
  if (!Object.hasOwn(summaries, name)) return nothing;
  const command = await commands[name as keyof typeof commands]();
  let declared = declaredBy(command.builder as never, [name], command.command as string);
  let rest = before.slice(1);
  while (Object.hasOwn(declared.subcommands, rest[0] ?? '')) {
    const [word = '', ...others] = rest;
    const { builder, original } = declared.subcommands[word] as Subcommand;
    declared = declaredBy(builder, [...declared.path, word], original);
    rest = others;
  }
  return within(declared, rest, current);
}

const nothing: Candidates = { candidates: [], files: false };

function only(current: string, entries: readonly (readonly [string, string])[], files = false): Candidates {
  const fitting = entries.filter(([value]) => value.startsWith(current));
  return { candidates: fitting.map(([value, description]) => ({ value, description })), files };
}

function declaredBy(builder: CommandModule['builder'], path: string[], original: string): Declared {
  const parser = yargs([]).help();
  if (typeof builder === 'function') void builder(parser as Argv<object>);
  const state = parser as unknown as YargsState;
  const { key, alias, choices, array, boolean, number, hiddenOptions } = state.getOptions();
  const descriptions = state.getInternalMethods().getUsageInstance().getDescriptions();
  const positionals = [...original.matchAll(/[<[]([\w-]+)(\.\.)?[>\]]/g)].map(([, name = '']) => name);
  const typeOf = (name: string) =>
    boolean.includes(name) ? 'boolean' : number.includes(name) ? 'number' : 'string';
  const options = Object.fromEntries(
    Object.keys(key)
      .filter((name) => name.length > 1 && !hiddenOptions.includes(name) && name !== 'version')
      .map((name): [string, Option] => {
        const aliases = alias[name] ?? [];
        const repeatable = [name, ...aliases].some((one) => array.includes(one));
        const description = (descriptions[name] ?? '').replace('__yargsString__:', '');
        return [name, { description, type: typeOf(name), choices: choices[name], aliases, repeatable }];
      }),
  );
  const subcommands = state.getInternalMethods().getCommandInstance().getCommandHandlers();
  return { path, options, subcommands, positionals };
}

/** What may follow the words of a command. */
function within(command: Declared, words: readonly string[], current: string): Candidates {
  const { options, subcommands, positionals, path } = command;
  const [, joinedFlag, joinedValue = ''] = /^--([\w-]+)=(.*)$/s.exec(current) ?? [];
  if (joinedFlag !== undefined) {
    const { candidates, files } = valueOf(command, joinedFlag, joinedValue);
    return {
      candidates: candidates.map((one) => ({ ...one, value: `--${joinedFlag}=${one.value}` })),
      files,
    };
  }
  const flag = awaiting(command, words.at(-1));
  if (flag !== undefined) return valueOf(command, flag, current);
  if (current.startsWith('-')) return flagsOf(command, words, current);
  const below = Object.entries(subcommands).flatMap(([name, { description }]) =>
    description === false ? [] : [[name, description] as const],
  );
  if (below.length > 0) return only(current, below);
  const given = words.filter(
    (word, index) => !word.startsWith('-') && awaiting(command, words[index - 1]) === undefined,
  );
  const name = positionals[Math.min(given.length, positionals.length - 1)];
  if (name === undefined) return flagsOf(command, words, current);
  const known = options[name]?.choices ?? positionalValues([...path, name].join(' '));
  return only(current, known?.map((value) => [value, ''] as const) ?? [], known === undefined);
}

/** The flag whose value comes behind a word. */
function awaiting({ options }: Declared, word: string | undefined): string | undefined {
  const [, given] = /^--?([\w-]+)$/.exec(word ?? '') ?? [];
  if (given === undefined) return undefined;
  const found = Object.entries(options).find(
    ([name, { aliases }]) => name === given || aliases.includes(given),
  );
  return found && found[1].type !== 'boolean' ? found[0] : undefined;
}

function flagsOf({ options, positionals }: Declared, words: readonly string[], current: string): Candidates {
  const entries = Object.entries(options).flatMap(([name, { description, repeatable }]) => {
    const gone = !repeatable && words.some((word) => word === `--${name}` || word.startsWith(`--${name}=`));
    return gone || positionals.includes(name) ? [] : [[`--${name}`, description] as const];
  });
  return only(current, entries);
}

function valueOf({ options }: Declared, flag: string, current: string): Candidates {
  const option = Object.hasOwn(options, flag) ? options[flag] : undefined;
  if (!option) return nothing;
  if (option.choices)
    return only(
      current,
      option.choices.map((value) => [value, ''] as const),
    );
  const { values, files } = valuesOf(flag, current) ?? { values: [], files: option.type === 'string' };
  return only(current, values, files);
}
