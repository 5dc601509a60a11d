import { useEffect, useRef } from 'preact/hooks';
import { PAGES, type PageName } from './pages.ts';
import { hrefOf } from './route.ts';
import { signOut } from './session/session.ts';
import { SignIn } from './session/sign-in.ts';
import { useSession } from './session/use-session.ts';
import { type Children, h, html } from './ui.ts';

interface ShellProps {
  page: PageName;
  /** Changes when one goes to another place. */
  place: string;
  children: Children;
}

/**
 * What is around every page: where one is, where else one can go, and whether the API is there. A
 * page stays as it is, unseen, while a key is asked for: what was typed in it is not lost.
 */
export function Shell({ page, place, children }: ShellProps) {
  const { signedOut, away, hasKey } = useSession();
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  useEffect(() => {
    document.title = `${PAGES[page].name} · Headrace`;
    if (!first.current) {
      scrollTo(0, 0);
      main.current?.querySelector<HTMLElement>('h1')?.focus({ preventScroll: true });
    }
    first.current = false;
  }, [place]);
  const skip = (event: Event) => {
    event.preventDefault();
    main.current?.focus();
  };
  return html`<a class="skip" href="#main" onClick=${skip}>Skip to the page</a>
    <div class="shell">
      <header class="side">
        <a class="brand" href=${hrefOf(['overview'])}>
          <svg viewBox="0 0 24 24" width="24" height="24" aria-hidden="true">
            <rect width="24" height="24" rx="6" fill="currentColor" />
            <path
              d="M4 9c2.7 0 2.7 2 5.3 2s2.7-2 5.4-2 2.6 2 5.3 2
                M4 14c2.7 0 2.7 2 5.3 2s2.7-2 5.4-2 2.6 2 5.3 2"
              fill="none" stroke="var(--panel)" stroke-width="2" stroke-linecap="round"
            />
          </svg>
          Headrace
        </a>
        <nav aria-label="Pages">
          ${Object.entries(PAGES).map(
            ([id, { name, icon }]) => html`<a
              key=${id}
              href=${hrefOf([id])}
              aria-current=${id === page ? 'page' : null}
            >
              <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true"><path d=${icon} /></svg>
              ${name}
            </a>`,
          )}
        </nav>
        <div class="side-foot">
          <a href="/docs">API reference</a>
          ${
            hasKey &&
            html`<button type="button" class="link" onClick=${() => signOut('left')}>Sign out</button>`
          }
        </div>
      </header>
      <main id="main" ref=${main} tabindex="-1">
        <div class="away-box" role="status" aria-live="polite">
          ${
            away &&
            html`<div class="away">
              <strong>The API does not answer.</strong> Trying again until it does.
            </div>`
          }
        </div>
        ${signedOut !== null && h(SignIn, { why: signedOut })}
        <div hidden=${signedOut !== null}>${signedOut !== 'left' && children}</div>
      </main>
    </div>`;
}
