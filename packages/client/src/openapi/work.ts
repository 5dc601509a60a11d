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

export interface FileObject {
  id: string;
  object: 'file';
  bytes: number;
  created_at: number;
  /** When the file and its content are gone. */
  expires_at: number;
  filename: string;
  purpose: 'batch' | 'user_data' | 'batch_output';
  status: 'processed';
  status_details: null;
}

export interface Batch {
  id: string;
  object: 'batch';
  endpoint: '/v1/jobs' | '/v1/embeddings';
  model: string | null;
  errors: {
    object: 'list';
    data: {
      code: string;
      line: number | null;
      message: string;
      param: string | null;
    }[];
  } | null;
  /** null where the input was given as a URL. */
  input_file_id: string | null;
  input_url: string | null;
  documents: BatchDocuments | null;
  output: BatchOutput | null;
  parameters: Record<string, unknown> | null;
  priority: 'high' | 'normal' | 'low';
  dry_run: boolean;
  retry_of: string | null;
  /** Of a dry run that is completed. */
  estimate: {
    /** Rows that can be run. */
    rows: number;
    invalid_rows: number;
    /** Rows that were tokenized for this. */
    sampled_rows: number;
    /** Of all rows, by the sample. */
    tokens: number;
    /** Rows over max_tokens of the model, by the sample. */
    truncated_rows: number;
    /** With the workers that are ready now and nothing else to do; null if there is none. */
    seconds: {
      low: number;
      high: number;
    } | null;
  } | null;
  completion_window: string;
  status:
    | 'validating'
    | 'failed'
    | 'in_progress'
    | 'finalizing'
    | 'completed'
    | 'expired'
    | 'cancelling'
    | 'cancelled';
  paused: boolean;
  /** Why it does not go on at the moment. */
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
  request_counts: {
    total: number;
    completed: number;
    failed: number;
  };
  progress: {
    rows_done: number;
    rows_per_s: number | null;
    eta_s: number | null;
  };
  usage: {
    input_tokens: number;
    output_tokens: 0;
    total_tokens: number;
  };
  metadata: Record<string, string>;
}

export interface BatchDocuments {
  format: 'jsonl' | 'csv' | 'tsv' | 'parquet' | 'text';
  /** The column, or the field of each object, to score. */
  text?: string | undefined;
  /** The second text of a pair. */
  text_pair?: string | null | undefined;
  /** Carried over into the results. */
  id?: string | null | undefined;
  /** auto: by the first bytes. */
  compression?: 'auto' | 'none' | 'gzip' | 'zstd' | undefined;
}

export interface BatchOutput {
  format?: 'jsonl' | 'csv' | 'parquet' | undefined;
  /** The input's columns beside the answer. */
  join?: boolean | undefined;
}

export interface BatchRequest {
  /** A file of requests, or of documents. */
  input_file_id?: string | undefined;
  /** Instead of a file: s3://bucket/key or file:///path, where the operator allows it. */
  input_url?: string | undefined;
  /** Each line of the file is a request for it. Else give model and documents. */
  endpoint?: '/v1/jobs' | '/v1/embeddings' | undefined;
  /** name or name@version */
  model?: string | undefined;
  documents?: BatchDocuments | undefined;
  output?: BatchOutput | undefined;
  /** Depends on the task. */
  parameters?: Record<string, unknown> | undefined;
  /** Hours or days from 1h to 7d; what is late expires. */
  completion_window?: string | undefined;
  /** How long the files of results are kept. */
  output_expires_after?:
    | {
        anchor: 'created_at';
        seconds: number;
      }
    | undefined;
  priority?: 'high' | 'normal' | 'low' | undefined;
  /** Check, count and estimate; run nothing. */
  dry_run?: boolean | undefined;
  /** Told of the end by a signed POST; see /v1/webhooks/deliveries. */
  webhook?:
    | {
        /** http:// or https://, without user name and password. */
        url: string;
        /** Of which ends; without it, of every one. */
        events?:
          | ('batch.completed' | 'batch.failed' | 'batch.expired' | 'batch.cancelled')[]
          | undefined;
      }
    | null
    | undefined;
  metadata?: Record<string, string> | undefined;
}

export interface BatchResults {
  object: 'list';
  /** Lines of the output, in the order of the input. */
  data: unknown[];
  has_more: boolean;
  /** Goes on from here as `after`, also when there is nothing yet. */
  next: string;
  /** No more rows will come. */
  finished: boolean;
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
