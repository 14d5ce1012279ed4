import type { Target } from '../judge.js';
import { tar, tarGz, zipped } from './archives.js';
import { answer, call, feed } from './answers.js';
import { control } from './control.js';
import { coordinator } from './coordinator.js';
import { header } from './header.js';
import { image } from './image.js';
import { manifest } from './manifest.js';
import { place } from './place.js';
import { recipe } from './recipe.js';
import { runFolder } from './run-folder.js';
import { shard } from './shard.js';
import { cifar, idxFiles } from './stored-images.js';

/** Every reader of untrusted data, by name. */
export const targets: ReadonlyMap<string, Target> = new Map(
  [
    answer,
    call,
    feed,
    control,
    coordinator,
    header,
    manifest,
    recipe,
    place,
    runFolder,
    idxFiles,
    cifar,
    shard,
    tar,
    tarGz,
    zipped,
    image,
  ].map((target) => [target.name, target as Target]),
);
