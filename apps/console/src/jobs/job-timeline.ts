import type { Job } from '@headrace/client';
import { Status } from '../elements/status.ts';
import { duration, fullTime } from '../format.ts';
import { h, html } from '../ui.ts';

/** What happened to a job, and how long it was until then. */
export function JobTimeline({ job }: { job: Job }) {
  const { created_at, started_at, finished_at, status, attempts } = job;
  const steps = [
    { name: 'Submitted', at: created_at, note: null },
    {
      name: attempts > 1 ? `Started, attempt ${attempts}` : 'Started',
      at: started_at,
      note:
        started_at === null ? null : `${duration((started_at - created_at) * 1000)} in the queue`,
    },
    {
      name: h(Status, {
        value: finished_at === null ? 'pending' : status,
        label: finished_at === null ? 'Finished' : status,
      }),
      at: finished_at,
      note: finished_at === null ? null : `${duration((finished_at - created_at) * 1000)} in all`,
    },
  ];
  return html`<ol class="timeline">
    ${steps.map(
      ({ name, at, note }, i) => html`<li key=${i} class=${at === null ? 'ahead' : null}>
        <span>${name}</span>
        <span class="muted">${at === null ? 'not yet' : fullTime(at)}</span>
        <span class="muted">${note}</span>
      </li>`,
    )}
  </ol>`;
}
