// Licences of what an installed pod-dist holds, and which of them are allowed.

/** SPDX names of licences under which a package may be passed on with pod-dist. */
export const allowed = new Set([
  ...['MIT', 'ISC', '0BSD', 'BSD-2-Clause', 'BSD-3-Clause', 'Apache-2.0', 'BlueOak-1.0.0', 'Unlicense'],
  // Of the file or the library: sharp's binaries, loaded as shared libraries, and ZeroMQ.
  ...['MPL-2.0', 'LGPL-3.0-or-later'],
]);

/** Whether every part of a licence, such as `(MIT AND Zlib)`, is allowed; of alternatives one is enough. */
export function isAllowed(licence = '') {
  return licence
    .replace(/[()]/g, '')
    .split(' AND ')
    .every((part) => part.split(' OR ').some((one) => allowed.has(one.trim())));
}

/** Name, version and licence of every package in a CycloneDX list. */
export function licencesOf({ components }) {
  return components.map(({ name, version, licenses = [] }) => ({
    name,
    version,
    licence: licenses
      .map(({ license, expression }) => expression ?? license.id ?? license.name)
      .join(' AND '),
  }));
}

/** Packages that are bundled into dist/, from the first lines of its notices. */
export function bundled(notices) {
  return notices.split(/\n-{80}\n\n/).flatMap((notice) => {
    const [, name, version, licence] = /^(\S+) (\S+), (.+)\n/.exec(notice) ?? [];
    return name === undefined ? [] : [{ name, version, licence }];
  });
}
