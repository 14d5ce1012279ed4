import { describe, expect, it } from 'vitest';
import { errorLine, readErrorLine } from '../../src/util/error-line.js';

describe('errorLine', () => {
  it('refers to pod-dist explain, unless the message refers to --help', () => {
    expect(errorLine({ code: 'PEER_LOST', message: 'gone\u001b' })).toBe(
      'pod-dist: gone\\u001b (see pod-dist explain PEER_LOST)',
    );
    expect(errorLine({ code: 'USAGE', message: 'what? see pod-dist launch --help' })).toBe(
      'pod-dist: what? see pod-dist launch --help',
    );
  });
});

describe('readErrorLine', () => {
  it('reads the error line of another process', () => {
    const said = { code: 'RUN_BUSY', message: 'in use (by a job)' } as const;
    expect(readErrorLine(errorLine(said))).toEqual(said);
    expect(readErrorLine('pod-dist: of another version')).toEqual({ message: 'of another version' });
    expect(readErrorLine('epoch 1/2')).toBeUndefined();
    expect(readErrorLine('pod-dist: x (see pod-dist explain NO_SUCH)')).toEqual({
      code: 'UNEXPECTED',
      message: 'x',
    });
  });
});
