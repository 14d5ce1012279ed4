/**
 * How data between hosts is protected.
 *
 *     encrypted      nobody reads, changes, repeats or inserts a message: AES-256-GCM
 *     authenticated  nobody changes, repeats or inserts a message, but who listens in can read: GMAC
 *     curve          as encrypted, by ZeroMQ's own CURVE, at a quarter of the speed
 *     network        only connections of the job are taken: for a network that protects its traffic itself
 */
export const securities = ['encrypted', 'authenticated', 'curve', 'network'] as const;
export type Security = (typeof securities)[number];
