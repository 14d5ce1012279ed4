import { setLoaded } from './deferred.js';
import * as library from './library.js';

export * from './library.js';

setLoaded(library);
