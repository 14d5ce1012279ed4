import { describe, expect, it } from 'vitest';
import { isNode, readNodePlace } from '../../../src/launching/hosts/node-place.js';

const flags = { nnodes: '4', nodeRank: '3', rendezvous: 'head:29500', workers: '8' };

describe('readNodePlace', () => {
  it('prefers flags to the environment', () => {
    const others = { PET_NNODES: '2', PET_NODE_RANK: '0', JOB_COMPLETION_INDEX: '1', MASTER_ADDR: 'x' };
    expect(readNodePlace(flags, others)).toEqual({
      ...{ nodes: 4, nodeRank: 3, workers: 8, host: 'head', port: 29_500 },
    });
  });

  it("reads torchrun's variables that operators of Kubernetes set", () => {
    const environment = {
      ...{ PET_NNODES: '2', PET_NODE_RANK: '1', PET_NPROC_PER_NODE: '4' },
      ...{ PET_MASTER_ADDR: 'job-master-0', PET_MASTER_PORT: '23456', RANK: '1', WORLD_SIZE: '8' },
    };
    expect(isNode({}, environment)).toBe(true);
    expect(readNodePlace({}, environment)).toEqual({
      ...{ nodes: 2, nodeRank: 1, workers: 4, host: 'job-master-0', port: 23_456 },
    });
  });

  it("reads the pod's index in a Kubernetes Job", () => {
    const given = { nnodes: '2', rendezvous: '[fd00::1]:1' };
    expect(readNodePlace(given, { JOB_COMPLETION_INDEX: '1' })).toMatchObject({
      nodeRank: 1,
      host: 'fd00::1',
    });
  });

  it('reads a range of hosts', () => {
    const range = { ...flags, nnodes: '2:8' };
    expect(readNodePlace(range, {})).toMatchObject({ nodes: 8, leastNodes: 2, nodeRank: 3 });
    const environment = { PET_NNODES: '1:4', PET_NODE_RANK: '0', MASTER_ADDR: 'x', MASTER_PORT: '1' };
    expect(readNodePlace({}, environment)).toMatchObject({ nodes: 4, leastNodes: 1 });
  });

  it('needs no other flags for one host', () => {
    expect(readNodePlace({ nnodes: '1' }, {})).toMatchObject({ nodes: 1, nodeRank: 0, workers: 1 });
    expect(isNode({}, { JOB_COMPLETION_INDEX: '1' })).toBe(false);
  });

  it.each([
    [{ ...flags, nodeRank: '4' }, {}, /--node-rank 4: give a whole number from 0 to 3/],
    [{ ...flags, nodeRank: undefined }, {}, /--node-rank is missing/],
    [{ ...flags, rendezvous: undefined }, {}, /--rendezvous is missing/],
    [{ ...flags, rendezvous: 'head' }, {}, /--rendezvous head: give HOST:PORT/],
    [{ ...flags, nnodes: '8:4' }, {}, /--nnodes 8:4: give a whole number from 1 to \d+, or two/],
    [{ ...flags, nnodes: '2:' }, {}, /--nnodes 2:: give a whole number from 1 to \d+, or two/],
    [{}, { PET_NNODES: 'many' }, /PET_NNODES is "many": it must be/],
  ])('rejects %j', (given, environment, message) => {
    expect(() => readNodePlace(given, environment)).toThrow(message);
  });
});
