import { useState } from 'preact/hooks';
import { Button } from '../elements/button.ts';
import { ErrorNotice } from '../elements/notice.ts';
import { count } from '../format.ts';
import { api } from '../session/session.ts';
import { useAction } from '../session/use-action.ts';
import { h, html } from '../ui.ts';

/** Rows of one look; each look makes the place so many times more exact. */
const PREFIXES = 24;

/**
 * Marks what the model did not see of a text. The API does not say where that begins, so
 * beginnings of the text are run, longer and longer, until it is known to the word.
 */
export function CutText({ model, text }: { model: string; text: string }) {
  const [end, setEnd] = useState<number | null>(null);
  const action = useAction<null>(async (_, signal) =>
    setEnd(await findCut({ model, text, signal })),
  );
  if (end !== null) {
    return html`<div class="text-box"><bdi class="text" dir="auto">${text.slice(0, end)}<mark
      class="cut" title="Not seen by the model">${text.slice(end, end + 5_000)}</mark></bdi></div>
      <p class="muted small-text">
        The model saw ${count(end)} of ${count(text.length)} characters.
      </p>`;
  }
  return html`<div class="row">
      ${h(Button, { onClick: () => action.run(null), busy: action.running, children: 'Show where it was cut' })}
      <span class="muted small-text">Runs a few dozen beginnings of the text.</span>
    </div>
    ${h(ErrorNotice, { error: action.error })}`;
}

interface Search {
  model: string;
  text: string;
  signal: AbortSignal;
}

/** @returns how many characters the model sees, up to the end of a word */
async function findCut({ model, text, signal }: Search): Promise<number> {
  const ends = [...text.matchAll(/\S+/gu)].map((word) => word.index + word[0].length);
  let known = -1;
  let cut = ends.length - 1;
  while (cut - known > 1) {
    const steps = Math.min(PREFIXES, cut - known - 1);
    const tried = Array.from(
      { length: steps },
      (_, i) => known + Math.max(1, Math.round(((i + 1) * (cut - known)) / (steps + 1))),
    );
    const input = tried.map((i) => text.slice(0, ends[i]));
    const { id } = await api().jobs.submit({ model, input }, { signal });
    const { output } = await api().jobs.wait(id, { signal });
    const first = output?.findIndex(({ truncated }) => truncated) ?? -1;
    if (first !== -1) cut = tried[first] ?? cut;
    const last = first === -1 ? tried.length - 1 : first - 1;
    known = tried[last] ?? known;
    if (output === null) throw new Error('A beginning of the text could not be run.');
  }
  return ends[known] ?? 0;
}
