import { rm } from 'node:fs/promises';
import type { Batch } from '@headrace/client';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { hintFor } from '../failure.ts';
import { STANDARD } from '../scoring/file-format.ts';
import type { Session } from '../session.ts';
import { problemsText } from '../terminal/batch-text.ts';
import { counted, duration } from '../terminal/numbers.ts';
import { download } from './download.ts';

/** Where the rows of a batch that failed are put. */
function errorsPath(output: string): string {
  return `${output}.errors.jsonl`;
}

/** Fetches what a finished batch came to, and says what that is. */
export async function deliver(session: Session, batch: Batch, output: string): Promise<ExitCode> {
  const { terminal } = session;
  const { output_file_id } = batch;
  if (output_file_id !== null) {
    await download(session, { fileId: output_file_id, path: output, label: 'downloading' });
  }
  const errors = await deliverErrors(session, batch, output);
  if (terminal.json && output !== STANDARD) {
    await terminal.result({ batch, output: output_file_id === null ? null : output, errors }, '');
  }
  return report(session, batch, { output: output_file_id === null ? null : output, errors });
}

/** @returns the file of them; null when there is none */
async function deliverErrors(
  session: Session,
  { output_file_id, error_file_id }: Batch,
  output: string,
): Promise<string | null> {
  if (output === STANDARD) return null;
  const path = errorsPath(output);
  if (error_file_id === null) {
    // Beside a new output, that of an earlier run would be taken for this one's.
    if (output_file_id !== null) await rm(path, { force: true });
    return null;
  }
  await download(session, { fileId: error_file_id, path, label: 'downloading errors' });
  return path;
}

interface Files {
  output: string | null;
  errors: string | null;
}

/** Says what a finished batch came to. @returns the exit code that says the same */
export function report(session: Session, batch: Batch, files: Files): ExitCode {
  const { terminal, command } = session;
  const { id, status, request_counts } = batch;
  const { completed, failed } = request_counts;
  if (status === 'failed') {
    const problems = problemsText(batch);
    terminal.warn(`headrace: ${id} failed\n${problems.map((text) => `  ${text}`).join('\n')}`);
    const hint = hintFor(batch.errors?.data[0]?.code ?? '');
    if (hint !== null) terminal.warn(hint);
    return EXIT.failed;
  }
  const into = files.output === null || files.output === STANDARD ? '' : ` -> ${files.output}`;
  const done = `${counted(completed, 'row')} scored${tookText(batch)}${into}`;
  const ended = status === 'completed' ? done : `${id} is ${status}: ${done}`;
  if (status === 'completed') terminal.say(ended);
  else terminal.warn(ended);
  if (failed > 0) {
    const where = files.errors ?? command(`results ${id} --errors`);
    terminal.warn(`${counted(failed, 'row')} failed: ${where}`);
  }
  if (status !== 'completed') return EXIT.failed;
  return failed > 0 ? EXIT.rowsFailed : EXIT.ok;
}

function tookText({ in_progress_at, finalizing_at, completed_at }: Batch): string {
  const end = completed_at ?? finalizing_at;
  if (in_progress_at === null || end === null) return '';
  return ` in ${duration(Math.max(1, end - in_progress_at))}`;
}
