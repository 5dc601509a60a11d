import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { usage } from '../failure.ts';
import { STANDARD } from './file-format.ts';

/**
 * Finds out before hours of work that their result could not be written.
 * @throws Failure
 */
export async function checkOutputPath(output: string, input: string | null): Promise<void> {
  if (output === STANDARD) return;
  if (input !== null && resolve(input) === resolve(output)) {
    throw usage(`${output}: is the input as well`, 'Give another name with -o.');
  }
  const folder = dirname(resolve(output));
  await access(folder, constants.W_OK).catch(() => {
    throw usage(`${output}: the folder ${folder} is not there or may not be written to`);
  });
  const found = await stat(output).catch(() => null);
  if (found?.isDirectory()) throw usage(`${output}: is a folder`);
}
