import { Assembly } from './assembly.js';
import { Lateness } from './lateness.js';

/** Most names that one rank may have given values for while other ranks have not. */
const mostOpen = 16;

/** Messages of the ranks of one configuration of the job so far. A later configuration begins with none. */
export class Generation {
  readonly endpoints: Assembly<Record<string, string>>;
  readonly connections: Assembly<true>;
  readonly agreements: Assembly<string>;
  readonly gatherings: Assembly<unknown>;
  readonly lateness: Lateness;

  constructor(
    /** Counts the configurations, from 0. */
    readonly number: number,
    readonly worldSize: number,
    warningMs: number,
  ) {
    this.endpoints = new Assembly(worldSize);
    this.connections = new Assembly(worldSize);
    this.agreements = new Assembly(worldSize, mostOpen);
    this.gatherings = new Assembly(worldSize, mostOpen);
    this.lateness = new Lateness(warningMs);
  }
}
