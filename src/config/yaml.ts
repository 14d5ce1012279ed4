import { parseDocument } from 'yaml';
import { UserError } from '../errors.js';

/**
 * The value of a YAML text.
 *
 * @throws UserError `CONFIG_INVALID`: `complaint` and what is wrong with the text, in one line
 */
export function parseYaml(text: string, complaint: string): unknown {
  try {
    const document = parseDocument(text, { logLevel: 'error' });
    const [error] = document.errors;
    if (error) throw error;
    return document.toJS();
  } catch (error) {
    const [reason] = (error as Error).message.split('\n');
    throw new UserError('CONFIG_INVALID', `${complaint}: ${reason.replace(/:$/, '')}`);
  }
}
