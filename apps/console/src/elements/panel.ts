import { type Children, html } from '../ui.ts';

interface PanelProps {
  title?: string;
  /** Beside the title. */
  aside?: Children;
  children?: Children;
  class?: string;
}

export function Panel({ title, aside, children, class: more = '' }: PanelProps) {
  return html`<section class=${`panel ${more}`}>
    ${
      (title || aside) &&
      html`<header class="panel-head">
        ${title && html`<h2>${title}</h2>`}
        <div class="panel-aside">${aside}</div>
      </header>`
    }
    ${children}
  </section>`;
}

interface PageProps {
  title: Children;
  /** What one can do here. */
  actions?: Children;
  lead?: Children;
  children?: Children;
}

/** A page; its heading takes the focus when one comes here, so that it is read. */
export function Page({ title, actions, lead, children }: PageProps) {
  return html`<div class="page">
    <header class="page-head">
      <div class="page-title">
        <h1 tabindex="-1">${title}</h1>
        ${lead && html`<p class="lead">${lead}</p>`}
      </div>
      ${actions && html`<div class="actions">${actions}</div>`}
    </header>
    ${children}
  </div>`;
}

/** Names and values. */
export function Facts({ facts }: { facts: [string, Children][] }) {
  return html`<dl class="facts">
    ${facts.map(
      ([name, value], i) => html`<div key=${i}>
        <dt><bdi dir="auto">${name}</bdi></dt>
        <dd>${value}</dd>
      </div>`,
    )}
  </dl>`;
}

export function Empty({ title, children }: { title: string; children?: Children }) {
  return html`<div class="empty">
    <p class="empty-title">${title}</p>
    ${children && html`<p class="muted">${children}</p>`}
  </div>`;
}

/** In the place of what is not here yet, as high as it will be. */
export function Loading({ lines = 4 }: { lines?: number }) {
  return html`<div class="loading" aria-busy="true" aria-label="Loading">
    ${Array.from({ length: lines }, (_, i) => html`<div key=${i} class="bone"></div>`)}
  </div>`;
}
