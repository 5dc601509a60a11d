import { useState } from 'preact/hooks';
import { Button } from '../elements/button.ts';
import { ErrorNotice } from '../elements/notice.ts';
import { count } from '../format.ts';
import { useAction } from '../session/use-action.ts';
import { h, html } from '../ui.ts';
import { characters, findCut, type Search } from './find-cut.ts';

const SHOWN_AFTER = 5_000;
/** The API leaves them out, before anything is counted. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must go
const CONTROL = /[\u0000-\u0008\u000b-\u001f]/g;

interface CutTextProps extends Pick<Search, 'model' | 'tokens'> {
  /** What was sent. */
  text: string;
}

/**
 * Marks what the model did not see of a text. The API does not say where that begins, so
 * beginnings of the text are run, until the longest one is found that is not cut.
 */
export function CutText({ model, text: sent, tokens }: CutTextProps) {
  const text = sent.replace(CONTROL, '').toWellFormed();
  const [end, setEnd] = useState<number | null>(null);
  const action = useAction<null>(async (_, signal) =>
    setEnd(await findCut({ model, text, tokens, signal })),
  );
  if (end !== null) {
    const unseen = text.slice(end, end + SHOWN_AFTER).toWellFormed();
    return html`<div class="text-box"><bdi class="text" dir="auto">${text.slice(0, end)}<mark
      class="cut" title="Not seen by the model">${unseen}</mark></bdi></div>
      <p class="muted small-text" role="status">
        The model saw ${count(lengthOf(text.slice(0, end)))} of ${count(lengthOf(text))} characters.
      </p>`;
  }
  return html`<div class="row">
      ${h(Button, {
        onClick: () => action.run(null),
        busy: action.running,
        children: 'Show where it was cut',
      })}
      <span class="muted small-text">Runs a few dozen beginnings of the text.</span>
    </div>
    ${h(ErrorNotice, { error: action.error })}`;
}

function lengthOf(text: string): number {
  return [...characters.segment(text)].length;
}
