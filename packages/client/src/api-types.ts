/**
 * The objects of the HTTP contract, as `/openapi.json` describes them. `tests/contract/client.test.ts`
 * holds each of them to the schema that the API checks and answers with.
 */

export type Priority = 'high' | 'normal' | 'low';
export type JobStatus = 'queued' | 'running' | 'succeeded' | 'failed' | 'canceled' | 'expired';
export type BatchStatus =
  | 'validating'
  | 'failed'
  | 'in_progress'
  | 'finalizing'
  | 'completed'
  | 'expired'
  | 'cancelling'
  | 'cancelled';

export interface ErrorBody {
  message: string;
  type: string;
  code: ErrorCode;
  param: string | null;
  retryable: boolean;
}

/** Why a request, a job or a row failed. */
export type ErrorCode =
  | 'invalid_request'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'model_not_found'
  | 'method_not_allowed'
  | 'job_already_finished'
  | 'job_not_finished'
  | 'batch_not_running'
  | 'batch_not_finished'
  | 'delivery_without_body'
  | 'idempotency_in_progress'
  | 'body_too_large'
  | 'too_many_rows'
  | 'unsupported_media_type'
  | 'idempotency_mismatch'
  | 'text_too_long'
  | 'range_not_satisfiable'
  | 'rate_limited'
  | 'overloaded'
  | 'storage_nearly_full'
  | 'storage_unavailable'
  | 'redis_unavailable'
  | 'not_ready'
  | 'wait_timeout'
  | 'internal'
  | 'empty_text'
  | 'tokenizer_failed'
  | 'row_crashed_engine'
  | 'row_timed_out'
  | 'non_finite_output'
  | 'out_of_memory'
  | 'attempts_exhausted'
  | 'unsupported_payload'
  | 'expired'
  | 'canceled';

/** A text, a pair of texts, or the token ids of one. */
export type Row =
  | string
  | { text: string; text_pair?: string | null | undefined }
  | { ids: number[] };

export type JobEvent = 'job.succeeded' | 'job.failed' | 'job.canceled' | 'job.expired';
export type BatchEvent = 'batch.completed' | 'batch.failed' | 'batch.expired' | 'batch.cancelled';

/** Who is told of the end of a job or batch; of every one, unless it says which. */
export interface Webhook<Event> {
  url: string;
  events?: Event[] | undefined;
}

export interface JobRequest {
  model?: string | null | undefined;
  input: Row | Row[];
  parameters?: Record<string, unknown> | undefined;
  priority?: Priority | undefined;
  ttl_s?: number | undefined;
  timeout_s?: number | undefined;
  webhook?: Webhook<JobEvent> | null | undefined;
  metadata?: Record<string, string> | undefined;
}

export interface RowOutput {
  [more: string]: unknown;
  tokens: number;
  truncated: boolean;
  chunks?: number | undefined;
  labels?: { label: string; score: number }[] | undefined;
  embedding?: number[] | string | undefined;
  error?: ErrorBody | undefined;
}

export interface Job {
  id: string;
  object: 'job';
  status: JobStatus;
  model: string;
  variant: string | null;
  task: string;
  output: RowOutput[] | null;
  error: ErrorBody | null;
  usage: { rows: number; tokens: number; padded_cells: number; failed_rows: number } | null;
  timings: {
    queue_ms: number;
    tokenize_ms: number;
    batch_wait_ms: number;
    infer_ms: number;
    total_ms: number;
    batch_rows: number;
  } | null;
  attempts: number;
  priority: Priority;
  metadata: Record<string, string>;
  created_at: number;
  started_at: number | null;
  finished_at: number | null;
  expires_at: number;
  position: number | null;
  eta_s: number | null;
  retry_of: string | null;
}

export interface FileObject {
  id: string;
  object: 'file';
  bytes: number;
  created_at: number;
  expires_at: number;
  filename: string;
  purpose: 'batch' | 'user_data' | 'batch_output';
  status: 'processed';
  status_details: null;
}

export type InputFormat = 'jsonl' | 'csv' | 'tsv' | 'parquet' | 'text';
export type OutputFormat = 'jsonl' | 'csv' | 'parquet';
type Compression = 'auto' | 'none' | 'gzip' | 'zstd';
type BatchEndpoint = '/v1/jobs' | '/v1/embeddings';

export interface BatchRequest {
  /** This, or `input_url`. */
  input_file_id?: string | undefined;
  input_url?: string | undefined;
  endpoint?: BatchEndpoint | undefined;
  model?: string | undefined;
  documents?:
    | {
        format: InputFormat;
        text?: string | undefined;
        text_pair?: string | null | undefined;
        id?: string | null | undefined;
        compression?: Compression | undefined;
      }
    | undefined;
  output?: { format?: OutputFormat | undefined; join?: boolean | undefined } | undefined;
  parameters?: Record<string, unknown> | undefined;
  completion_window?: string | undefined;
  output_expires_after?: { anchor: 'created_at'; seconds: number } | undefined;
  priority?: Priority | undefined;
  dry_run?: boolean | undefined;
  webhook?: Webhook<BatchEvent> | null | undefined;
  metadata?: Record<string, string> | undefined;
}

export interface Batch {
  id: string;
  object: 'batch';
  endpoint: BatchEndpoint;
  model: string | null;
  errors: { object: 'list'; data: BatchProblem[] } | null;
  input_file_id: string | null;
  input_url: string | null;
  documents: {
    format: InputFormat;
    text: string;
    text_pair: string | null;
    id: string | null;
    compression: Compression;
  } | null;
  output: { format: OutputFormat; join: boolean } | null;
  parameters: Record<string, unknown> | null;
  priority: Priority;
  dry_run: boolean;
  retry_of: string | null;
  estimate: {
    rows: number;
    invalid_rows: number;
    sampled_rows: number;
    tokens: number;
    truncated_rows: number;
    seconds: { low: number; high: number } | null;
  } | null;
  completion_window: string;
  status: BatchStatus;
  paused: boolean;
  waiting_for: string | null;
  output_file_id: string | null;
  error_file_id: string | null;
  created_at: number;
  in_progress_at: number | null;
  expires_at: number;
  finalizing_at: number | null;
  completed_at: number | null;
  failed_at: number | null;
  expired_at: number | null;
  cancelling_at: number | null;
  cancelled_at: number | null;
  request_counts: { total: number; completed: number; failed: number };
  progress: { rows_done: number; rows_per_s: number | null; eta_s: number | null };
  usage: { input_tokens: number; output_tokens: 0; total_tokens: number };
  metadata: Record<string, string>;
}

/** Why a batch failed as a whole. */
export interface BatchProblem {
  code: string;
  line: number | null;
  message: string;
  param: string | null;
}

export interface BatchResultsPage {
  object: 'list';
  data: unknown[];
  has_more: boolean;
  /** Goes on from here as `after`, also when there is nothing yet. */
  next: string;
  /** No more rows will come. */
  finished: boolean;
}

interface ModelVersion {
  version: string;
  digest: string;
  default_variant: string;
  variants: { name: string; precision: string; digest: string; bytes: number }[];
  ready_workers: number;
  backlog: { jobs: number; rows: number; tokens: number; chunks: number };
  drain_s: number | null;
}

export interface Model extends ModelVersion {
  id: string;
  object: 'model';
  created: number;
  owned_by: string;
  description: string;
  licence: string;
  task: string;
  labels: string[] | null;
  multi_label: boolean | null;
  dimensions: number | null;
  max_tokens: number;
  pairs: boolean;
  default: boolean;
  versions: ModelVersion[];
}

export interface EmbeddingsRequest {
  model: string;
  input: string | string[] | number[] | number[][];
  dimensions?: number | null | undefined;
  overflow?: 'truncate' | 'error' | 'chunk' | undefined;
}

export type DeliveryStatus = 'pending' | 'delivered' | 'failed' | 'disabled';

export interface WebhookDelivery {
  id: string;
  object: 'webhook.delivery';
  webhook_id: string;
  type: JobEvent | BatchEvent | 'webhook.test';
  url: string;
  endpoint: string;
  job: string | null;
  batch: string | null;
  status: DeliveryStatus;
  attempt_count: number;
  created_at: number;
  next_attempt_at: number | null;
  settled_at: number | null;
}

export interface WebhookDeliveryDetail extends WebhookDelivery {
  /** The last 50, oldest first. */
  attempts: {
    at: number;
    status: number | null;
    error: string | null;
    duration_ms: number;
    response_head: string | null;
  }[];
}

export interface WebhookSecret {
  id: string;
  object: 'webhook.secret';
  created_at: number;
  expires_at: number | null;
}

/** A URL that gets no more callbacks. */
export interface WebhookEndpoint {
  id: string;
  object: 'webhook.endpoint';
  url: string;
  disabled_at: number;
  reason: 'gone' | 'failing';
  failing_since: number;
}

/** A page of a list, and where the next one begins. */
export interface Page<T> {
  object: 'list';
  data: T[];
  has_more: boolean;
  first_id: string | null;
  last_id: string | null;
}

/** `admin` is for keys and tenants, of all tenants, and includes no other scope. */
export type Scope = 'jobs' | 'batches' | 'webhooks' | 'admin';

export interface KeyRequest {
  name: string;
  tenant?: string | undefined;
  scopes: Scope[];
  rate_limit?: { rows_per_s: number; burst_rows: number } | null | undefined;
  /** Unix seconds. */
  expires_at?: number | null | undefined;
}

export interface ApiKey {
  id: string;
  object: 'key';
  tenant: string;
  name: string;
  scopes: Scope[];
  rate_limit: { rows_per_s: number; burst_rows: number } | null;
  created_at: number;
  expires_at: number | null;
  last_used_at: number | null;
  revoked_at: number | null;
}

/** As it is answered once, when it is created. */
export interface NewApiKey extends ApiKey {
  /** To be sent as Bearer. */
  secret: string;
}
