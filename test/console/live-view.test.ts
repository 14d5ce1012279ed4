import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import xterm from '@xterm/headless';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isLive } from '../../src/console/terminal.js';
import { Sparkline } from '../../src/console/sparkline.js';
import { cli, Workplace } from '../integration/command.js';
import { needs } from '../needs.js';

/**
 * A Python program that runs a command on a terminal of 100 columns, and narrows it to 50 columns once a file contains
 * `"kind":"epoch"` (with the command suspended, so that earlier output is known). It prints a line for each output and
 * change: seconds, and bytes in base64 or the new width.
 */
const onTerminal = `
import base64, fcntl, json, os, pty, select, signal, struct, sys, termios, time
metrics, program = sys.argv[1], sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    select.select([0], [], [], 0.2)
    os.execvp(program[0], program)
def size(columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
    print(json.dumps({'at': time.time(), 'columns': columns}))
size(100)
wide = True
def read():
    while select.select([terminal], [], [], 0.05)[0]:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            return False
        print(json.dumps({'at': time.time(), 'bytes': base64.b64encode(part).decode()}))
        if wide and os.path.exists(metrics):
            return True
    return True
while read():
    if wide and os.path.exists(metrics) and '"kind":"epoch"' in open(metrics).read():
        wide = False
        os.kill(child, signal.SIGSTOP)
        time.sleep(0.1)
        read()
        size(50)
        os.kill(child, signal.SIGCONT)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
`;

interface Event {
  at: number;
  columns?: number;
  bytes?: string;
}

const hasPython = spawnSync('python3', ['-c', 'import pty']).status === 0;

describe('a run on a terminal', needs('Python', hasPython), () => {
  const place = new Workplace();
  afterAll(() => place.clear());
  /** Rows of the terminal, including scrolled ones, after each piece of output. */
  const screens: string[][] = [];
  let events: Event[] = [];

  beforeAll(async () => {
    const { CI: _, ...env } = process.env;
    const launch = ['launch', '-n', '2', '--backend', 'wasm', '--epochs', '3', '--out', 'run'];
    const child = spawn(
      'python3',
      ['-c', onTerminal, 'run/metrics.jsonl', process.execPath, cli, ...launch],
      {
        cwd: place.folder,
        env: { ...env, TMPDIR: place.temporary, TERM: 'xterm-256color', LC_ALL: 'C.UTF-8' },
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    let text = '';
    child.stdout.on('data', (part: Buffer) => (text += part.toString()));
    const [code] = (await once(child, 'close')) as [number];
    expect(code, text).toBe(0);
    events = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Event);
    const terminal = new xterm.Terminal({ cols: 100, rows: 24, allowProposedApi: true });
    for (const { columns, bytes } of events) {
      if (columns !== undefined) terminal.resize(columns, 24);
      if (bytes === undefined) continue;
      await new Promise<void>((resolve) => terminal.write(Buffer.from(bytes, 'base64'), resolve));
      const { active } = terminal.buffer;
      const rows = Array.from({ length: active.length }, (_, row) => active.getLine(row));
      screens.push(
        rows.flatMap((row) =>
          row && row.translateToString(true) !== '' ? [row.translateToString(true)] : [],
        ),
      );
    }
  });

  it('is drawn in place: progress, loss curve, and a line for each rank', () => {
    const whole = screens.filter((screen) => screen.some((row) => row.startsWith('rank 1')));
    expect(whole.length).toBeGreaterThan(5);
    for (const screen of whole)
      for (const start of [/^rank 0 /, /^rank 1 /, /^loss /, /^[█░]/])
        expect(
          screen.filter((row) => start.test(row)),
          screen.join('\n'),
        ).toHaveLength(1);
    const shown = whole.map((screen) => screen.join('\n'));
    expect(shown.some((text) => /^█+░+ +\d+ % epoch 1\/3 step \d+\/15, \d.* left/m.test(text))).toBe(true);
    expect(shown.some((text) => /^loss \d\.\d{4} [▁▂▃▄▅▆▇█]{2,} \d+ images\/s/m.test(text))).toBe(true);
    expect(shown[0]).toMatch(/^rank 1 +in its first epoch$/m);
    expect(shown.at(-1)).toMatch(/^rank 1 +\d+ images\/s, waits +\d+ % for images/m);
  });

  it('is drawn at most ten times a second, plus once for each line and change of width', () => {
    const output = events.map(({ bytes = '' }) => Buffer.from(bytes, 'base64').toString()).join('');
    const drawings = output.split('\u001b[?2026h').length - 1;
    const seconds = (events.at(-1) as Event).at - (events[0] as Event).at;
    expect(drawings).toBeLessThan(10 * seconds + 12);
  });

  it('leaves only the lines of a run without a live view', () => {
    const last = screens.at(-1) as string[];
    const text = last.join('\n');
    expect(text).not.toMatch(/^rank|^loss|[█░▁]/m);
    expect(last[0]).toMatch(/^digits: 1437 images, 3 epochs, 2 workers, run/);
    for (const epoch of [1, 2, 3])
      expect(last.filter((row) => row.startsWith(`epoch ${epoch}/3 loss`))).toHaveLength(1);
    expect(text).toContain('workers');
    const output = Buffer.from(events.findLast(({ bytes }) => bytes)?.bytes ?? '', 'base64').toString();
    const all = events.map(({ bytes = '' }) => Buffer.from(bytes, 'base64').toString()).join('');
    expect(all.lastIndexOf('\u001b[?25h'), output).toBeGreaterThan(all.lastIndexOf('\u001b[?25l'));
  });
});

describe('isLive', () => {
  it('is true only for a terminal with escape sequences, outside CI', () => {
    const terminal = { isTTY: true };
    expect(isLive(terminal, { TERM: 'xterm' })).toBe(true);
    expect(isLive({ isTTY: false }, { TERM: 'xterm' })).toBe(false);
    expect(isLive(terminal, { TERM: 'dumb' })).toBe(false);
    expect(isLive(terminal, { TERM: 'xterm', CI: 'true' })).toBe(false);
  });
});

describe('Sparkline', () => {
  it('draws means of groups of equal size, scaled from the lowest to the highest', () => {
    const line = new Sparkline();
    for (const value of [4, NaN, 3, 2, 1, Infinity]) line.add(value);
    expect(line.draw(10, '1234')).toBe('4321');
    expect(line.draw(2, '1234')).toBe('41');
    for (let value = 0; value < 1000; value++) line.add(1);
    expect(line.draw(100, '1234')).toMatch(/^41{31,}$/);
  });

  it('is flat for equal values, and empty without values', () => {
    const line = new Sparkline();
    expect(line.draw(10, '1234')).toBe('');
    for (const value of [5, 5, 5]) line.add(value);
    expect(line.draw(10, '1234')).toBe('111');
  });
});
