import type { ApiKey, WebhookDelivery } from './openapi/operation.ts';
import type {
  Batch,
  BatchDocuments,
  BatchOutput,
  BatchResults,
  ErrorBody,
  Job,
  JobRequest,
} from './openapi/work.ts';

export type * from './openapi/operation.ts';
export type * from './openapi/work.ts';

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
export interface Page<T> {
  object: 'list';
  data: T[];
  has_more: boolean;
  first_id: string | null;
  last_id: string | null;
}

/** Of `POST /v1/embeddings`; the vectors travel as base64. */
export interface EmbeddingsRequest {
  model: string;
  input: string | string[] | number[] | number[][];
  dimensions?: number | null | undefined;
  overflow?: 'truncate' | 'error' | 'chunk' | undefined;
}
