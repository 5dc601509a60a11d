import { useMemo, useState } from 'preact/hooks';
import { count } from '../format.ts';
import { html } from '../ui.ts';
import { CopyButton } from './button.ts';

/** Code in several languages, one at a time, to be copied. */
export function CodeTabs({ samples }: { samples: Record<string, string> }) {
  const names = Object.keys(samples);
  const [chosen, setChosen] = useState(names[0] ?? '');
  const code = samples[chosen] ?? '';
  return html`<div class="code">
    <div class="code-head">
      <div class="tabs" role="group" aria-label="Language">
        ${names.map(
          (name) => html`<button
            key=${name}
            type="button"
            class="tab"
            aria-pressed=${name === chosen ? 'true' : 'false'}
            onClick=${() => setChosen(name)}
          >
            ${name}
          </button>`,
        )}
      </div>
      <${CopyButton} text=${code} />
    </div>
    <pre tabindex="0" aria-label=${chosen}><code dir="auto">${code}</code></pre>
  </div>`;
}

const MOST_CHARACTERS = 100_000;

/** Any JSON, as text; of a very large one, the beginning. */
export function Json({ value }: { value: unknown }) {
  const text = useMemo(() => JSON.stringify(value, null, 2), [value]);
  const cut = text.length > MOST_CHARACTERS;
  const shown = cut ? text.slice(0, MOST_CHARACTERS).toWellFormed() : text;
  return html`<div class="code">
    <pre tabindex="0" aria-label="JSON"><code>${shown}</code></pre>
    ${
      cut &&
      html`<p class="muted pad">
        The first ${count(MOST_CHARACTERS)} of ${count(text.length)} characters; save it to have all of it.
      </p>`
    }
  </div>`;
}
