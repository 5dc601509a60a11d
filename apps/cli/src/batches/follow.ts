import type { Batch } from '@headrace/client';
import type { Session } from '../session.ts';
import { count } from '../terminal/numbers.ts';

/** A server that is started anew must not end hours of waiting: about a minute. */
const PATIENCE = 10;

/**
 * Shows how far a batch is until it has finished.
 * @returns the batch, in its terminal state
 */
export async function followBatch(session: Session, id: string): Promise<Batch> {
  const { client, terminal, interrupt } = session;
  let last: Batch | null = null;
  const states = client.batches.watch(id, { signal: interrupt, maxRetries: PATIENCE });
  for await (const batch of states) {
    last = batch;
    terminal.progress.show(progressOf(batch));
  }
  terminal.progress.clear();
  if (last === null) throw new Error('a batch that is watched has a state');
  return last;
}

function progressOf(batch: Batch) {
  const { status, request_counts, progress, paused, waiting_for } = batch;
  const { total, failed } = request_counts;
  const notes = [
    ...(failed === 0 ? [] : [`${count(failed)} failed`]),
    ...(paused ? ['paused'] : []),
    ...(waiting_for === null ? [] : [`waits for ${waiting_for}`]),
  ];
  const isPlanned = status !== 'validating';
  return {
    label: isPlanned ? labelOf(batch) : 'checking',
    done: isPlanned ? progress.rows_done : total,
    total: isPlanned ? total : null,
    unit: 'rows' as const,
    note: notes.length === 0 ? null : notes.join(', '),
  };
}

function labelOf({ status, dry_run }: Batch): string {
  if (status === 'finalizing') return 'putting together';
  if (status === 'cancelling') return 'cancelling';
  return dry_run ? 'sampling' : 'scoring';
}
