/**
 * Objects of the HTTP contract. Made from the OpenAPI document of a running API by
 * `node scripts/client/api-types.ts http://127.0.0.1:8000`; a test holds it to the code.
 */

export interface Job {
  id: string;
  object: 'job';
  status: 'queued' | 'running' | 'succeeded' | 'failed' | 'canceled' | 'expired';
  model: string;
  variant: string | null;
  task: 'text-classification' | 'embeddings';
  output: RowOutput[] | null;
  error: ErrorBody | null;
  usage: {
    rows: number;
    tokens: number;
    padded_cells: number;
    failed_rows: number;
  } | null;
  timings: {
    queue_ms: number;
    tokenize_ms: number;
    batch_wait_ms: number;
    infer_ms: number;
    total_ms: number;
    batch_rows: number;
  } | null;
  attempts: number;
  priority: 'high' | 'normal' | 'low';
  metadata: Record<string, string>;
  created_at: number;
  started_at: number | null;
  finished_at: number | null;
  /** Live: when it expires if it has not started. Finished: when it is deleted. */
  expires_at: number;
  /** While queued: about how many rows are ahead. */
  position: number | null;
  /** While queued: the expected wait, if a worker is known. */
  eta_s: number | null;
  retry_of: string | null;
}

export interface RowOutput {
  /** Tokens of the row before truncation, special tokens included. */
  tokens: number;
  truncated: boolean;
  /** Over how many chunks the answer was averaged, if several. */
  chunks?: number | undefined;
  labels?:
    | {
        label: string;
        score: number;
      }[]
    | undefined;
  embedding?: number[] | string | undefined;
  error?: ErrorBody | undefined;
  [more: string]: unknown;
}

export interface ErrorBody {
  message: string;
  type: string;
  code:
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
  param: string | null;
  retryable: boolean;
}

export interface ErrorEnvelope {
  error: {
    message: string;
    type: string;
    code:
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
    param: string | null;
    retryable: boolean;
    /** The job that was submitted all the same. */
    job_id?: string | undefined;
  };
  /** Of /ready: what a request would lack. */
  missing?: string[] | undefined;
}

export interface JobRequest {
  /** name or name@version */
  model?: string | null | undefined;
  /**
   * A text, {"text","text_pair"}, {"ids"} (tokenized already), or a list of up to 2,048 of
   * these.
   */
  input:
    | string
    | {
        text: string;
        text_pair?: string | null | undefined;
      }
    | {
        ids: number[];
      }
    | (
        | string
        | {
            text: string;
            text_pair?: string | null | undefined;
          }
        | {
            ids: number[];
          }
      )[];
  /** Depends on the task. */
  parameters?: Record<string, unknown> | undefined;
  priority?: 'high' | 'normal' | 'low' | undefined;
  /** Expires if not started in time. */
  ttl_s?: number | undefined;
  /** Fails if a run takes longer. */
  timeout_s?: number | undefined;
  /** Told of the end by a signed POST; see /v1/webhooks/deliveries. */
  webhook?:
    | {
        /** http:// or https://, without user name and password. */
        url: string;
        /** Of which ends; without it, of every one. */
        events?: ('job.succeeded' | 'job.failed' | 'job.canceled' | 'job.expired')[] | undefined;
      }
    | null
    | undefined;
  metadata?: Record<string, string> | undefined;
}

export interface JobList {
  object: 'list';
  data: Job[];
  /** Older jobs are left to look at; a page may be short or empty. */
  has_more: boolean;
  first_id: string | null;
  /** Goes on from here as `after`. */
  last_id: string | null;
}

export interface EmbeddingsResponse {
  object: 'list';
  data: (
    | {
        object: 'embedding';
        index: number;
        embedding: number[] | string;
        /** The text had more tokens than the model takes. */
        truncated: boolean;
      }
    | {
        object: 'error';
        index: number;
        error?: unknown | undefined;
      }
  )[];
  model: string;
  usage: {
    prompt_tokens: number;
    total_tokens: number;
  };
}

export interface EmbeddingsBody {
  model: string;
  /** A text, the token ids of one, or a list of up to 2,048 of either. */
  input: string | string[] | number[] | number[][];
  encoding_format?: 'float' | 'base64' | undefined;
  dimensions?: number | null | undefined;
  /** A text over max_tokens of the model. */
  overflow?: 'truncate' | 'error' | 'chunk' | undefined;
  /** Not used. */
  user?: string | undefined;
}
