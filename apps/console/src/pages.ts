import type { FunctionComponent } from 'preact';
import type { Route } from './route.ts';

export type PageComponent = FunctionComponent<{ route: Route }>;

interface PageEntry {
  name: string;
  /** A path of 20 by 20, drawn with a stroke. */
  icon: string;
  load: () => Promise<PageComponent>;
}

/** Every page, in the order of the navigation. Each is fetched when it is first gone to. */
export const PAGES = {
  overview: {
    name: 'Overview',
    icon: 'M3 16V10M8 16V4M13 16v-8M18 16v-4',
    load: async () => (await import('./overview/overview-page.ts')).OverviewPage,
  },
  try: {
    name: 'Try it',
    icon: 'M6 4l10 6-10 6z',
    load: async () => (await import('./try-it/try-page.ts')).TryPage,
  },
  jobs: {
    name: 'Jobs',
    icon: 'M3 5h14M3 10h14M3 15h9',
    load: async () => (await import('./jobs/jobs-page.ts')).JobsPage,
  },
  batches: {
    name: 'Batches',
    icon: 'M4 7l6-3 6 3-6 3zM4 10l6 3 6-3M4 13l6 3 6-3',
    load: async () => (await import('./batches/batches-page.ts')).BatchesPage,
  },
  webhooks: {
    name: 'Webhooks',
    icon: 'M4 12a4 4 0 1 0 6 3h6M13 4a4 4 0 0 0-4 5l-3 5',
    load: async () => (await import('./webhooks/webhooks-page.ts')).WebhooksPage,
  },
  models: {
    name: 'Models',
    icon: 'M10 3l6 3.5v7L10 17l-6-3.5v-7zM4 6.5l6 3.5 6-3.5M10 10v7',
    load: async () => (await import('./models/models-page.ts')).ModelsPage,
  },
  keys: {
    name: 'Keys',
    icon: 'M9 8a3.5 3.5 0 1 0-2.5 3.3L12 17h3v-3h-2v-2l-4-4',
    load: async () => (await import('./keys/keys-page.ts')).KeysPage,
  },
} as const satisfies Record<string, PageEntry>;

export type PageName = keyof typeof PAGES;

export function pageNamed(name: string | undefined): PageName {
  return name !== undefined && isPage(name) ? name : 'overview';
}

function isPage(name: string): name is PageName {
  return Object.hasOwn(PAGES, name);
}
