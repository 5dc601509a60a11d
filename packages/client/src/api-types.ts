import type { Batch, BatchDocuments, BatchOutput, BatchResults } from './openapi/batches.ts';
import type { EmbeddingsBody, ErrorBody, Job, JobList, JobRequest } from './openapi/jobs.ts';
import type { ApiKey, WebhookDelivery } from './openapi/operation.ts';

export type * from './openapi/batches.ts';
export type * from './openapi/jobs.ts';
export type * from './openapi/operation.ts';

/** Why a request, a job or a row failed. */
export type ErrorCode = ErrorBody['code'];
export type Priority = Job['priority'];
export type JobStatus = Job['status'];
export type BatchStatus = Batch['status'];
/** Why a batch failed as a whole. */
export type BatchProblem = NonNullable<Batch['errors']>['data'][number];
export type BatchResultsPage = BatchResults;
export type InputFormat = BatchDocuments['format'];
export type OutputFormat = NonNullable<BatchOutput['format']>;
export type DeliveryStatus = WebhookDelivery['status'];
/** `admin` is for keys and tenants, of all tenants, and includes no other scope. */
export type Scope = ApiKey['scopes'][number];
/** A text, a pair of texts, or the token ids of one. */
export type Row = Exclude<JobRequest['input'], unknown[]>;

/** A page of a list, and where the next one begins. */
export type Page<T> = Omit<JobList, 'data'> & { data: T[] };

/** Of `POST /v1/embeddings`; the vectors travel as base64. */
export type EmbeddingsRequest = Omit<EmbeddingsBody, 'encoding_format' | 'user'>;
