/* eslint-disable @typescript-eslint/no-empty-object-type */

/**
 * Settings of the losses that your plug-ins register, for TypeScript. A program that gives such settings to `train` or
 * `launch` declares them, under any key:
 *
 *     declare module 'pod-dist' {
 *       interface PluginLosses {
 *         squaredDistance: { name: 'squared-distance'; weight?: number };
 *       }
 *     }
 */
export interface PluginLosses {}

/** Settings of the backbones that your plug-ins register, as `PluginLosses` has those of losses; each has a `dim`. */
export interface PluginBackbones {}

/** Settings of the data sets that your plug-ins register, as `PluginLosses` has those of losses. */
export interface PluginDatasets {}
