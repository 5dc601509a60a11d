import assert from 'node:assert/strict';
import { test } from 'node:test';
import type * as client from '@headrace/client';
import type { Scope } from '@headrace/shared/api-keys.ts';
import type { Batch } from '@headrace/shared/bulk/batch.ts';
import type { ErrorBody, ErrorCode } from '@headrace/shared/errors.ts';
import type { FileObject } from '@headrace/shared/files.ts';
import type { JobRequestSchema } from '@headrace/shared/job-request.ts';
import type { Job } from '@headrace/shared/jobs.ts';
import type { EmbeddingsRequestSchema } from '@headrace/shared/openai/embeddings.ts';
import type { DeliveryDetail } from '@headrace/shared/webhooks/delivery.ts';
import type { Endpoint } from '@headrace/shared/webhooks/endpoint-store.ts';
import type { z } from 'zod';
import type { BatchRequestSchema } from '../../apps/api/src/batch-request.ts';
import type { ResultsPage } from '../../apps/api/src/batch-results.ts';
import type { ApiKey } from '../../apps/api/src/keys.ts';
import type { KeyRequest } from '../../apps/api/src/routes/keys.ts';
import type { Model } from '../../apps/api/src/routes/models.ts';
import type { OverviewAnswer } from '../../apps/api/src/routes/overview.ts';
import type { SecretView } from '../../apps/api/src/webhooks.ts';

/** True only for the very same type: neither wider nor narrower, nor with one field more. */
type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** The schemas of the API are written into its OpenAPI document, and give these types. */
interface Checked {
  errorCode: Same<client.ErrorCode, ErrorCode>;
  error: Same<Fields<client.ErrorBody>, Fields<ErrorBody>>;
  job: Same<Fields<client.Job>, Fields<Job>>;
  jobRequest: Same<Fields<client.JobRequest>, Fields<z.input<typeof JobRequestSchema>>>;
  file: Same<Fields<client.FileObject>, Fields<FileObject>>;
  batch: Same<Fields<client.Batch>, Fields<Batch>>;
  batchRequest: Same<Fields<client.BatchRequest>, Fields<z.input<typeof BatchRequestSchema>>>;
  results: Same<Fields<client.BatchResultsPage>, Fields<ResultsPage & { object: 'list' }>>;
  model: Same<Fields<client.Model>, Fields<Model>>;
  overview: Same<Fields<client.Overview>, Fields<OverviewAnswer>>;
  scope: Same<client.Scope, Scope>;
  key: Same<Fields<client.ApiKey>, Fields<ApiKey>>;
  keyRequest: Same<Fields<client.KeyRequest>, Fields<KeyRequest>>;
  delivery: Same<Fields<client.WebhookDeliveryDetail>, Fields<DeliveryDetail>>;
  secret: Same<Fields<client.WebhookSecret>, Fields<SecretView>>;
  endpoint: Same<Fields<client.WebhookEndpoint>, Fields<Endpoint>>;
  embeddings: Same<
    Fields<Omit<client.EmbeddingsRequest, 'input'>>,
    Fields<Omit<z.input<typeof EmbeddingsRequestSchema>, NotOfTheClient>>
  >;
}

/** `input` is looser in the schema; the vectors always travel as base64. */
type NotOfTheClient = 'input' | 'encoding_format' | 'user';

/** A type with its aliases resolved, at every depth. */
type Fields<T> = T extends object ? { [K in keyof T]: Fields<T[K]> } : T;

test("the client's types are those of the API", () => {
  // What differs does not compile: `npm test -- --only types` names the field of `Checked`.
  const checked: { [K in keyof Checked]: true } & Checked = {
    ...{ errorCode: true, error: true, job: true, jobRequest: true, file: true },
    ...{ batch: true, batchRequest: true, results: true, model: true, embeddings: true },
    ...{ overview: true, scope: true, key: true, keyRequest: true },
    ...{ delivery: true, secret: true, endpoint: true },
  };
  assert.ok(Object.values(checked).every(Boolean));
});

// @ts-expect-error a field too few is noticed
export const broken: Same<Fields<Omit<client.Job, 'eta_s'>>, Fields<Job>> = true;
