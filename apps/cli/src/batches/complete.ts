import { type Batch, HeadraceError } from '@headrace/client';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { outputFormat, STANDARD } from '../scoring/file-format.ts';
import type { Session } from '../session.ts';
import { deliver } from './deliver.ts';
import { followBatch } from './follow.ts';

/** Not for ever: whoever presses Ctrl-C wants to go. */
const PAUSE_RETRIES = 1;

/** Waits for a batch and fetches what it came to; Ctrl-C pauses it and says how to go on. */
export async function completeBatch(
  session: Session,
  id: string,
  output: string,
): Promise<ExitCode> {
  try {
    return await deliver(session, await followBatch(session, id), output);
  } catch (error) {
    if (session.interrupt.aborted) return pause(session, id, output);
    const resume = session.command(`resume ${id} -o ${quoted(output)}`);
    session.terminal.warn(`${id} has not been brought here. To try again:\n  ${resume}`);
    throw error;
  }
}

async function pause(
  { client, terminal, command }: Session,
  id: string,
  output: string,
): Promise<ExitCode> {
  const resume = command(`resume ${id} -o ${quoted(output)}`);
  terminal.say('Pausing …');
  try {
    await client.batches.pause(id, { maxRetries: PAUSE_RETRIES });
  } catch (error) {
    if (!(error instanceof HeadraceError) || error.code !== 'batch_not_running') {
      terminal.warn(
        `${id} could not be paused and goes on. To fetch what it comes to:\n  ${resume}`,
      );
      throw error;
    }
    terminal.warn(`${id} has finished. To fetch what it came to:\n  ${resume}`);
    return EXIT.interrupted;
  }
  terminal.warn(`${id} is paused. To go on:\n  ${resume}`);
  return EXIT.paused;
}

/** @throws Failure when the file would be of another format than its name says */
export function checkFormat(batch: Batch, output: string): void {
  if (output !== STANDARD) outputFormat({ path: output, given: batch.output?.format ?? 'jsonl' });
}

/** As a shell would have to be given it. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
