import { describe, expect, it } from 'vitest';
import { MemoryKills } from '../../../src/job/coordinator/memory-kills.js';

describe('MemoryKills', () => {
  const machine = (counts: Record<string, number>) => (file: string) =>
    Object.entries(counts).find(([name]) => file.endsWith(name))?.[1];

  it.each([
    ['memory.events', /container or group is used up/],
    ['memory.oom_control', /container or group is used up/],
    ['vmstat', /the machine's memory/],
  ])('explains SIGKILL by a count in %s that has grown', (file, said) => {
    const counts = { [file]: 3 };
    const kills = new MemoryKills(machine(counts));
    expect(kills.explain('SIGKILL')).toBe(' (out of memory?)');
    counts[file] = 4;
    expect(kills.explain('SIGKILL')).toMatch(said);
    expect(kills.explain('SIGTERM')).toBe('');
    expect(kills.explain(null)).toBe('');
  });

  it('asks whether memory ran out if no file tells', () => {
    expect(new MemoryKills(() => undefined).explain('SIGKILL')).toBe(' (out of memory?)');
  });
});
