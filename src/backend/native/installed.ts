import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../util/errors.js';
import type { Library } from './library.js';
import { minute, runCommand } from './run.js';
import { siteLibrary } from './wheel.js';

const usual = ['/usr/local', '/usr', '/opt/tensorflow', '/opt/libtensorflow', '/opt/homebrew'];

/**
 * A TensorFlow that is on this machine already: the folder given (with `lib` and `include`), the usual places of
 * libtensorflow, or the package of a Python.
 *
 * @throws UserError `SETUP_FAILED` where there is none
 */
export async function installedLibrary(given?: string): Promise<Library> {
  for (const root of given === undefined ? usual : [given]) {
    const folder = [join(root, 'lib'), join(root, 'lib64'), root].find((path) =>
      existsSync(join(path, 'libtensorflow.so.2')),
    );
    const include = [join(root, 'include'), join(root, '..', 'include')].find((path) =>
      existsSync(join(path, 'tensorflow', 'c', 'c_api.h')),
    );
    if (folder && include) {
      const framework = 'libtensorflow_framework.so.2';
      const files = ['libtensorflow.so.2', framework].filter((name) => existsSync(join(folder, name)));
      return { version: 'installed', include, folder, files };
    }
    if (existsSync(join(root, 'libtensorflow_cc.so.2'))) return siteLibrary(root, 'installed');
  }
  const python = given === undefined ? await pythonPackage() : undefined;
  if (python) return siteLibrary(python.folder, python.version);
  throw new UserError(
    'SETUP_FAILED',
    `no libtensorflow with its headers in ${given ?? usual.join(', ')}: give its folder with --library`,
  );
}

/** Where a Python keeps TensorFlow, found without importing it. */
async function pythonPackage(): Promise<{ folder: string; version: string } | undefined> {
  const script = `
import importlib.metadata, importlib.util, json
spec = importlib.util.find_spec("tensorflow")
names = ("tensorflow", "tensorflow-cpu")
versions = [d.version for d in importlib.metadata.distributions() if (d.metadata["Name"] or "").lower() in names]
print(json.dumps({"folder": spec.submodule_search_locations[0], "version": (versions or ["installed"])[0]}) if spec else "null")
`;
  for (const name of ['python3', 'python']) {
    try {
      const found = JSON.parse(await runCommand(name, ['-c', script], minute)) as {
        folder: string;
        version: string;
      } | null;
      if (found && existsSync(join(found.folder, 'libtensorflow_cc.so.2'))) return found;
    } catch {
      continue;
    }
  }
  return undefined;
}
