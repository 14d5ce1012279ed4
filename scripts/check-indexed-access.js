/**
 * Checks the files of tsconfig.indexed.json, where an element of an array may be missing. `tsc` would report the files that
 * they import as well, and in loops over numbers the check costs more than it finds.
 */
import ts from 'typescript';

const host = { ...ts.sys, onUnRecoverableConfigFileDiagnostic: () => {} };
const config = ts.getParsedCommandLineOfConfigFile('tsconfig.indexed.json', {}, host);
const program = ts.createProgram(config.fileNames, config.options);
const found = config.fileNames.flatMap((file) => program.getSemanticDiagnostics(program.getSourceFile(file)));
const format = {
  getCanonicalFileName: (name) => name,
  getCurrentDirectory: ts.sys.getCurrentDirectory,
  getNewLine: () => '\n',
};
if (found.length > 0) {
  console.error(ts.formatDiagnostics(found, format));
  process.exitCode = 1;
}
