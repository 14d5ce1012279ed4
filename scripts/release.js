// Releases the version in package.json: looks at the checkout, the licences and the package, writes an SBOM and a list of
// licences beside the packed file into dist-release/, and publishes it with a provenance statement.
//   npm run build && node scripts/release.js              # everything but the publishing: npm publish --dry-run
//   npm run build && node scripts/release.js --publish    # in a workflow that npm trusts, with id-token: write
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bundled, isAllowed, licencesOf } from './licences.js';
import { obstacles } from './release-checks.js';

const { values: given } = parseArgs({ options: { publish: { type: 'boolean', default: false } } });
const root = resolve(import.meta.dirname, '..');
const folder = join(root, 'dist-release');
const npm = (...args) => execFileSync('npm', args, { cwd: root, encoding: 'utf8', maxBuffer: 2 ** 28 });
const { name, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** The CycloneDX list of what a user gets: dependencies, and what is bundled into dist/. */
function billOfMaterials() {
  const bill = JSON.parse(npm('sbom', '--omit', 'dev', '--sbom-format', 'cyclonedx'));
  const within = bundled(readFileSync(join(root, 'dist/THIRD-PARTY-NOTICES.txt'), 'utf8'));
  const known = new Set(bill.components.map((component) => component['bom-ref']));
  for (const { name, version, licence } of within) {
    const reference = `${name}@${version}`;
    if (known.has(reference)) continue;
    const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`;
    const licenses = [{ expression: licence }];
    const properties = [{ name: 'pod-dist:bundled', value: 'true' }];
    bill.components.push({
      'bom-ref': reference,
      type: 'library',
      name,
      version,
      purl,
      licenses,
      properties,
    });
  }
  bill.metadata.component.name = 'pod-dist';
  return bill;
}

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder);
const bill = billOfMaterials();
const licences = licencesOf(bill).sort((a, b) => a.name.localeCompare(b.name, 'en'));
writeFileSync(join(folder, 'sbom.cdx.json'), `${JSON.stringify(bill, null, 2)}\n`);
writeFileSync(
  join(folder, 'licences.txt'),
  licences.map((one) => `${one.name} ${one.version}, ${one.licence || 'no licence'}\n`).join(''),
);
const problems = [
  ...obstacles(root),
  ...licences
    .filter(({ licence }) => !isAllowed(licence))
    .map(
      (one) =>
        `${one.name} ${one.version}: ${one.licence || 'no licence'} is not in the list of scripts/licences.js`,
    ),
];
npm('pack', '--silent', '--pack-destination', folder);
const tarball = join(
  folder,
  readdirSync(folder).find((file) => file.endsWith('.tgz')),
);
for (const problem of problems) console.log(`not yet: ${problem}`);
console.log(`${name} ${version}: ${licences.length} packages, SBOM and licences in ${folder}`);

if (given.publish && problems.length > 0) {
  console.log('nothing is published');
  process.exitCode = 1;
} else {
  const how = given.publish ? ['--provenance'] : ['--dry-run'];
  execFileSync('npm', ['publish', tarball, '--access', 'public', ...how], { cwd: root, stdio: 'inherit' });
  if (problems.length > 0) process.exitCode = 1;
}
