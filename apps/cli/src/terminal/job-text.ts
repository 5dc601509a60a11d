import type { Job } from '@headrace/client';
import { counted, time } from './numbers.ts';
import { table } from './table.ts';

type Row = NonNullable<Job['output']>[number];

/** A job and what came of each of its rows. */
export function jobText(job: Job): string {
  const { id, status, model, usage, timings, error, output } = job;
  const rows = usage === null ? [] : [counted(usage.rows, 'row')];
  const took = timings === null ? [] : [`${Math.round(timings.total_ms)} ms`];
  const why = error === null ? [] : [`${error.code}: ${error.message}`];
  const head = [id, status, model, ...rows, ...took, ...why].join('  ');
  const lines = (output ?? []).map((row, i) => [`  ${i + 1}`, rowText(row)]);
  return `${head}\n${table(lines)}`;
}

export function jobsText(jobs: readonly Job[]): string {
  return table(
    jobs.map(({ id, status, model, created_at, usage }) => {
      const rows = usage === null ? '' : counted(usage.rows, 'row');
      return [id, status, model, time(created_at), rows];
    }),
  );
}

function rowText({ labels, embedding, error, truncated }: Row): string {
  const note = truncated ? ' (truncated)' : '';
  if (error !== undefined) return `${error.code}: ${error.message}`;
  if (labels !== undefined) {
    const scores = labels.map(({ label, score }) => `${label} ${score.toFixed(4)}`);
    return `${scores.join(', ')}${note}`;
  }
  const size = Array.isArray(embedding) ? `${embedding.length} numbers` : 'encoded numbers';
  return `${embedding === undefined ? 'done' : size}${note}`;
}
