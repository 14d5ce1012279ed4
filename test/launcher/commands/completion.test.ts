import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { candidatesFor } from '../../../launcher/completion/candidates.js';
import { scriptOf, shells, type Shell } from '../../../launcher/completion/scripts.js';
import { cli } from '../../integration/command.js';
import { needs } from '../../needs.js';

/** Values of the candidates for the last word. */
async function values(...words: string[]): Promise<string[]> {
  return (await candidatesFor(words)).candidates.map(({ value }) => value);
}

describe('candidatesFor', () => {
  it('gives commands, subcommands and flags', async () => {
    expect(await values('la')).toEqual(['launch']);
    expect(await values('')).toEqual(expect.arrayContaining(['launch', 'runs', 'completion']));
    expect(await values('')).not.toContain('agent');
    expect(await values('data', '')).toEqual(['fetch', 'check', 'cache', 'preview']);
    expect(await values('bench', 'step', '--pro')).toEqual(['--profile']);
    expect(await values('launch', '--wor')).toEqual(['--workers']);
    expect(await values('launch', '--workers', '2', '--wor')).toEqual([]);
    expect((await values('launch', '--set', 'seed=2', '--se')).sort()).toEqual(['--seed', '--set']);
    expect((await candidatesFor(['launch', '--dry'])).candidates).toEqual([
      { value: '--dry-run', description: expect.stringContaining('train nothing') as string },
    ]);
  });

  it('gives values of flags and settings from the schema', async () => {
    expect(await values('launch', '--backend', '')).toEqual(['auto', 'native', 'webgpu', 'wasm', 'cpu']);
    expect(await values('launch', '--backend=na')).toEqual(['--backend=native']);
    expect(await values('launch', '-c', 'mni')).toEqual(['mnist']);
    expect(await values('runs', '--sort', '')).toEqual(['date', 'accuracy', 'name']);
    expect(await values('bench', 'step', '--model', 'vit')).toEqual(['vit-tiny']);
    expect(await values('launch', '--set', 'optimizer.mom')).toEqual(['optimizer.momentum=']);
    expect(await values('launch', '--set', 'loss.name=p')).toEqual(['loss.name=pod', 'loss.name=pedcc-loss']);
    expect(await values('launch', '--set', 'data.name=cifar')).toEqual([
      'data.name=cifar10',
      'data.name=cifar100',
    ]);
    expect(await values('launch', '--set', 'model.batchNorm=')).toEqual([
      'model.batchNorm=true',
      'model.batchNorm=false',
    ]);
    expect(await values('data', 'fetch', '--dir', 'x', 'mni')).toEqual(['mnist']);
    expect(await values('config', 'settings', 'optimizer.mo')).toEqual(['optimizer.momentum']);
    expect(await values('completion', 'b')).toEqual(['bash']);
  });

  it('asks for files for flags that take a path', async () => {
    const files = async (...words: string[]) => (await candidatesFor(words)).files;
    expect(await files('launch', '--config', '')).toBe(true);
    expect(await files('launch', '--out', '')).toBe(true);
    expect(await files('predict', '--checkpoint', 'run', '')).toBe(true);
    expect(await files('launch', '--epochs', '')).toBe(false);
    expect(await files('launch', '--backend', '')).toBe(false);
    expect(await files('launch', '')).toBe(false);
  });

  it('gives nothing for unknown commands and names of Object.prototype', async () => {
    expect(await values('lunch', '--')).toEqual([]);
    expect(await values('launch', '--constructor', '')).not.toContain('name');
    expect(await values('data', 'constructor', '')).toEqual(['fetch', 'check', 'cache', 'preview']);
  });
});

/** A Python program that types keys into a shell on a terminal, and waits after each part for the expected text. */
const typist = `
import json, os, pty, select, sys, time
parts, program = json.loads(sys.argv[1]), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execvp(program[0], program)
shown = ''
def wait(text):
    global shown
    until = time.time() + 60
    while text not in shown:
        if time.time() > until:
            sys.exit(f'{text!r} is not in {shown!r}')
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 65536).decode(errors='replace')
wait('ready> ')
for keys, text in parts:
    shown = ''
    os.write(terminal, keys.encode())
    wait(text)
os.kill(child, 9)
`;

function isThere(program: string): boolean {
  return spawnSync(program, ['--version']).status === 0;
}

describe('the completion script', () => {
  const folder = mkdtempSync(join(tmpdir(), 'pod-dist-test-'));
  beforeAll(() => {
    symlinkSync(cli, join(folder, 'pod-dist'));
    writeFileSync(join(folder, 'my-recipe.yaml'), '');
    for (const shell of shells) writeFileSync(join(folder, `completion.${shell}`), scriptOf(shell));
    writeFileSync(join(folder, 'bashrc'), "source completion.bash\nPS1='ready> '\n");
    writeFileSync(
      join(folder, '.zshrc'),
      "autoload -U compinit; compinit -u -D\nsource completion.zsh\nPS1='ready> '\n",
    );
    writeFileSync(
      join(folder, 'start.fish'),
      "source completion.fish\nfunction fish_prompt; echo -n 'ready> '; end\n",
    );
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const start: Record<Shell, string[]> = {
    bash: ['bash', '--rcfile', 'bashrc', '-i'],
    zsh: ['zsh', '-i'],
    fish: ['fish', '--no-config', '-C', 'source start.fish', '-i'],
  };

  for (const shell of shells)
    it(
      `completes commands, flags, settings and files in ${shell}`,
      needs(`Python and ${shell}`, isThere('python3') && isThere(shell)),
      () => {
        const parts = [
          ['pod-dist lau\t', 'nch '],
          ['--backend=nat\t', 'ive '],
          ['--set loss.name=po\t', 'd '],
          ['--set optimizer.mom\t', 'entum='],
          ['0.8 --config my-r\t', 'ecipe.yaml '],
        ];
        const path = `${folder}${delimiter}${process.env.PATH}`;
        execFileSync('python3', ['-c', typist, JSON.stringify(parts), ...start[shell]], {
          cwd: folder,
          env: { ...process.env, PATH: path, HOME: folder, ZDOTDIR: folder },
        });
      },
    );
});
