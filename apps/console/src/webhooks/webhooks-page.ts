import { Page } from '../elements/panel.ts';
import type { Route } from '../route.ts';
import { h } from '../ui.ts';

export function WebhooksPage(_: { route: Route }) {
  return h(Page, { title: 'webhooks' });
}
