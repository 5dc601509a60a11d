import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { ServiceProcess } from '../../helpers/processes.ts';

/** Process ids of a worker's engines: it has no other children. */
export async function enginesOf({ pid }: ServiceProcess): Promise<number[]> {
  // Images without `ps` are Linux, and Linux has this file.
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => null);
  const { stdout } =
    children === null
      ? await promisify(execFile)('pgrep', ['-P', String(pid)])
      : { stdout: children };
  return stdout.trim().split(/\s+/).filter(Boolean).map(Number);
}
