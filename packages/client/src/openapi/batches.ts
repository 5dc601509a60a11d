/**
 * Objects of the HTTP contract. Made from the OpenAPI document of a running API by
 * `node scripts/client/api-types.ts http://127.0.0.1:8000`; a test holds it to the code.
 */

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
