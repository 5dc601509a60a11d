import { createBatches } from './batches.ts';
import { createEmbed } from './embed.ts';
import { createFiles } from './files.ts';
import { createJobs } from './jobs.ts';
import { createKeys } from './keys.ts';
import { createModels } from './models.ts';
import { createOverview } from './overview.ts';
import { type ClientOptions, createTransport } from './transport.ts';
import { createWebhooks } from './webhooks.ts';

export type * from './api-types.ts';
export { isFinished } from './batches.ts';
export { ConnectionError, HeadraceError } from './errors.ts';
export type { ModelSample, Overview, OverviewEvent, OverviewSample } from './overview.ts';
export type { CallOptions, ClientOptions } from './transport.ts';
export { verifyWebhook, type WebhookEvent, WebhookVerificationError } from './verify-webhook.ts';

export type Client = ReturnType<typeof createClient>;

/**
 * A client of one Headrace, in Node or in a browser. Calls that may be repeated are, with back-off;
 * every call takes an `AbortSignal`.
 *
 *     const client = createClient({ baseUrl: 'http://127.0.0.1:8000' });
 *     const { id } = await client.jobs.submit({ model: 'sentiment', input: 'Lovely.' });
 *     console.log((await client.jobs.wait(id)).output);
 */
export function createClient(options: ClientOptions) {
  const transport = createTransport(options);
  return {
    jobs: createJobs(transport),
    files: createFiles(transport),
    batches: createBatches(transport),
    models: createModels(transport),
    overview: createOverview(transport),
    keys: createKeys(transport),
    embed: createEmbed(transport),
    webhooks: createWebhooks(transport),
  };
}
