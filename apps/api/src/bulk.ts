import { openBlobStore } from '@headrace/shared/blobs/index.ts';
import { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import { FileStore } from '@headrace/shared/files.ts';
import { createInputs } from '@headrace/shared/inputs/index.ts';
import type { Lifecycle } from '@headrace/shared/lifecycle.ts';
import type { ModelCatalogue } from '@headrace/shared/model-catalogue.ts';
import { createTakeOnce } from '@headrace/shared/once.ts';
import type { Keyspace } from '@headrace/shared/queues.ts';
import type { Redis } from 'ioredis';
import type { Admission } from './admission.ts';
import { createBatches } from './batches.ts';
import type { ApiConfig } from './config.ts';
import { createFileUploads } from './file-uploads.ts';
import { createFiles } from './files.ts';
import type { ToWebhookTarget } from './webhook-request.ts';
import type { WorkersView } from './workers-view.ts';

export interface BulkParts {
  config: ApiConfig;
  redis: Redis;
  keys: Keyspace;
  admission: Admission;
  models: ModelCatalogue;
  workers: WorkersView;
  lifecycle: Lifecycle;
  webhookTarget: ToWebhookTarget;
}

/** Files, and the batches that score them. */
export async function createBulk(parts: BulkParts) {
  const { config, redis, keys, admission, models, workers, lifecycle, webhookTarget } = parts;
  const blobs = await openBlobStore(config.HEADRACE_BLOBS);
  lifecycle.push('blobs', () => blobs.close());
  const { HEADRACE_BLOBS: blobsUrl, HEADRACE_INPUT_URLS: allowed } = config;
  const inputs = createInputs({ blobs, blobsUrl, allowed });
  lifecycle.push('inputs', () => inputs.close());
  const admit = () => admission.admit('bulk');
  const files = createFiles({
    ...{ blobs, store: new FileStore(redis, keys), admit },
    maxFileBytes: config.HEADRACE_MAX_FILE_BYTES,
    ttlS: config.HEADRACE_FILE_TTL_S,
  });
  const store = new BatchStore(redis, keys);
  const maxLive = config.HEADRACE_TENANT_MAX_BATCHES;
  const shared = { store, files, blobs, inputs, models, workers };
  return {
    files,
    openUpload: createFileUploads({ files, keys, takeOnce: createTakeOnce(redis) }),
    batches: createBatches({ ...shared, keys, maxLive, webhookTarget, admit }),
  };
}
