import type { Batch } from '@headrace/client';
import { count, counted, duration, time } from './numbers.ts';
import { table } from './table.ts';

/** A batch and all that is worth knowing of it. */
export function batchText(batch: Batch): string {
  const { id, model, endpoint, created_at, expires_at, waiting_for, retry_of } = batch;
  const facts: [string, string | null][] = [
    ['model', model ?? endpoint],
    ['rows', rowsText(batch)],
    ['waits for', waiting_for],
    ['created', time(created_at)],
    ['ends by', time(expires_at)],
    ['retry of', retry_of],
    ['input', batch.input_file_id ?? batch.input_url],
    ['output', batch.output_file_id],
    ['errors', batch.error_file_id],
  ];
  const known = facts.flatMap(([name, value]) => (value === null ? [] : [[`  ${name}`, value]]));
  const problems = problemsText(batch).map((text) => `  ${text}\n`);
  const estimate = batch.estimate === null ? '' : estimateText(batch.estimate);
  return `${id}  ${statusOf(batch)}\n${table(known)}${problems.join('')}${estimate}`;
}

export function batchesText(batches: readonly Batch[]): string {
  return table(
    batches.map((batch) => {
      const { id, model, endpoint, created_at } = batch;
      return [id, statusOf(batch), model ?? endpoint, time(created_at), rowsText(batch)];
    }),
  );
}

/** Why a batch failed as a whole, a line for each reason. */
export function problemsText({ errors }: Pick<Batch, 'errors'>): string[] {
  return (errors?.data ?? []).map(({ line, code, message }) => {
    return `${line === null ? '' : `line ${count(line)}: `}${code}: ${message}`;
  });
}

type Estimate = NonNullable<Batch['estimate']>;

/** What a dry run found out. */
export function estimateText(estimate: Estimate): string {
  const { rows, invalid_rows, tokens, truncated_rows, sampled_rows, seconds } = estimate;
  const time =
    seconds === null
      ? 'unknown: no worker is ready'
      : `${span(seconds)} with the workers that are ready`;
  return table([
    ['  rows to run', count(rows)],
    ['  rows not valid', count(invalid_rows)],
    ['  tokens', `${count(tokens)} (from ${counted(sampled_rows, 'row')})`],
    ['  rows cut', count(truncated_rows)],
    ['  time', time],
  ]);
}

function span({ low, high }: NonNullable<Estimate['seconds']>): string {
  const [from, to] = [duration(low), duration(high)];
  if (from !== to) return `${from} to ${to}`;
  return high < 0.5 ? 'less than a second' : to;
}

function statusOf({ status, paused, dry_run }: Batch): string {
  return `${paused ? 'paused' : status}${dry_run ? ' (dry run)' : ''}`;
}

function rowsText({ request_counts, progress }: Batch): string {
  const { total, failed } = request_counts;
  const { rows_done, rows_per_s, eta_s } = progress;
  const some = rows_done < total ? `${count(rows_done)} of ` : '';
  const errors = failed === 0 ? '' : `, ${count(failed)} failed`;
  const left = eta_s === null || eta_s === 0 ? '' : `, ${duration(eta_s)} left`;
  const speed = rows_per_s === null ? '' : `, ${count(rows_per_s)}/s`;
  return `${some}${count(total)}${errors}${speed}${left}`;
}
