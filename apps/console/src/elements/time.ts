import { useEffect, useState } from 'preact/hooks';
import { fullTime, NOTHING, relative } from '../format.ts';
import { html } from '../ui.ts';

/** How long ago, or how far ahead; the exact time where the pointer rests. */
export function Time({ at }: { at: number | null | undefined }) {
  const now = useNow(at == null ? null : 1_000);
  if (at == null) return html`<span class="muted">${NOTHING}</span>`;
  return html`<time datetime=${new Date(at * 1000).toISOString()} title=${fullTime(at)}>
    ${relative(at, now)}
  </time>`;
}

const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | null = null;

/** The time, a second at a time: one timer for all that show one. */
function useNow(everyMs: number | null): number {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (everyMs === null) return;
    const tick = () => setNow(Date.now());
    listeners.add(tick);
    timer ??= setInterval(() => {
      if (!document.hidden) for (const listener of [...listeners]) listener();
    }, 1_000);
    return () => {
      listeners.delete(tick);
      if (listeners.size > 0 || timer === null) return;
      clearInterval(timer);
      timer = null;
    };
  }, [everyMs === null]);
  return now;
}
