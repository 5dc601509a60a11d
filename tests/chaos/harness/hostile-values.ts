import { deliveryIds, newBatchId, newJobId } from '@headrace/shared/ids.ts';
import type { KnownBodies } from './hostile-requests.ts';

/** What may be a name to the queue, to Redis, to a file system, to HTTP, or to JavaScript. */
export const HOSTILE_VALUES = [
  ...['meta', 'completed', 'stalled-check', 'wait', 'prioritized', 'events', 'id', '0', '-1'],
  ...['a:b:c', ':', '*', '{headrace}', '../../etc/passwd', 'job_', '\u0000', '\ud800', '%s%n'],
  ...['a\r\nx-forged: 1\r\n\r\n', '\u2028', '__proto__', 'constructor', 'toString', ' '],
  'x'.repeat(100_000),
];

/** Right requests, of which each field in turn becomes hostile. @param url of a receiver */
export function rightBodies(url: string): KnownBodies {
  const job = newJobId(Date.now());
  return {
    'POST /v1/jobs': [
      {
        ...{ model: 'tiny-classifier', input: 'the cat', metadata: { order: '1' } },
        ...{ priority: 'low', webhook: { url, events: ['job.succeeded'] } },
      },
      { input: [{ text: 'a' }, { ids: [1] }], parameters: { top_k: 1 }, ttl_s: 60, timeout_s: 5 },
    ],
    'POST /v1/embeddings': [
      { model: 'tiny-embedder', input: 'the cat', encoding_format: 'float', user: 'a' },
    ],
    'POST /v1/batches': [
      {
        input_file_id: 'none',
        endpoint: '/v1/jobs',
        completion_window: '1h',
        metadata: { a: 'b' },
      },
      {
        ...{ input_url: 's3://a/b', model: 'tiny-classifier', parameters: { top_k: 1 } },
        documents: { format: 'csv', text: 'a', text_pair: 'b', id: 'c', compression: 'auto' },
        ...{ output: { format: 'csv', join: true }, priority: 'low', dry_run: false },
        output_expires_after: { anchor: 'created_at', seconds: 3_600 },
        webhook: { url, events: ['batch.failed'] },
      },
    ],
    'POST /v1/webhooks/test': [{ url }],
    'POST /v1/webhooks/deliveries/redeliver': [
      { status: ['failed'], url, job, since: 0, limit: 1 },
      { batch: newBatchId(Date.now()), after: deliveryIds(job).delivery },
    ],
    'POST /v1/keys': [
      {
        ...{ name: 'a', tenant: 'a', scopes: ['jobs'], expires_at: null },
        rate_limit: { rows_per_s: 1, burst_rows: 1 },
      },
    ],
    'PUT /v1/tenants/{name}': [{ weight: 1, max_queued_rows: 1_000, max_running_rows: 1_000 }],
  };
}

/** Requests with a value in each part of the URL of a receiver. */
export function* hostileReceivers(url: string, value: string) {
  const urls = [`http://${value}/`, `${url}/${value}`, `${url}?${value}`, `${url}#${value}`];
  const headers = { 'content-type': 'application/json' };
  for (const each of urls) {
    const webhook = { url: each };
    const job = JSON.stringify({ input: 'the cat', webhook });
    yield { method: 'POST', path: '/v1/jobs', headers, body: job };
    const test = JSON.stringify(webhook);
    yield { method: 'POST', path: '/v1/webhooks/test', headers, body: test };
  }
}
