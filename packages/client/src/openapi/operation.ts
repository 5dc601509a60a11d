/**
 * Objects of the HTTP contract. Made from the OpenAPI document of a running API by
 * `node scripts/client/api-types.ts http://127.0.0.1:8000`; a test holds it to the code.
 */

export interface WebhookDelivery {
  id: string;
  object: 'webhook.delivery';
  /** The header `webhook-id`, the same in every attempt. */
  webhook_id: string;
  type:
    | 'job.succeeded'
    | 'job.failed'
    | 'job.canceled'
    | 'job.expired'
    | 'batch.completed'
    | 'batch.failed'
    | 'batch.expired'
    | 'batch.cancelled'
    | 'webhook.test';
  url: string;
  /** Its id; an endpoint is a URL of yours. */
  endpoint: string;
  job: string | null;
  batch: string | null;
  status: 'pending' | 'delivered' | 'failed' | 'disabled';
  attempt_count: number;
  created_at: number;
  next_attempt_at: number | null;
  settled_at: number | null;
}

export interface WebhookDeliveryDetail extends WebhookDelivery {
  /** The last 50, oldest first. */
  attempts: WebhookAttempt[];
}

export interface WebhookAttempt {
  at: number;
  /** Of the answer; null when there was none. */
  status: number | null;
  /** Why there was no answer. */
  error: string | null;
  duration_ms: number;
  /** Of the answer's body, 1 KB at most. */
  response_head: string | null;
}

export interface WebhookRedelivered {
  redelivered: number;
  /** More may fit: call again with `after`. */
  has_more: boolean;
  /** Goes on from here as `after`. */
  last_id: string | null;
}

export interface WebhookRedeliverRequest {
  /** pending ones are sent at once instead of when they are due. */
  status?: ('pending' | 'delivered' | 'failed' | 'disabled')[] | undefined;
  url?: string | undefined;
  job?: string | undefined;
  batch?: string | undefined;
  /** Unix seconds: those that were made since. */
  since?: number | undefined;
  limit?: number | undefined;
  after?: string | undefined;
}

export interface WebhookTestRequest {
  /** http:// or https://, without user name and password. */
  url: string;
}

export interface WebhookSecret {
  id: string;
  object: 'webhook.secret';
  created_at: number;
  /** Set once a newer one has taken its place. */
  expires_at: number | null;
}

export interface NewWebhookSecret extends WebhookSecret {
  /** `whsec_…`; it is not shown again. */
  secret: string;
}

export interface WebhookSecretRequest {
  /**
   * How long the secret before stays good; callbacks are signed with both meanwhile. No more
   * than two are good: to rotate again meanwhile ends the older one at once.
   */
  overlap_s?: number | undefined;
}

export interface WebhookEndpoint {
  id: string;
  object: 'webhook.endpoint';
  url: string;
  disabled_at: number;
  /** gone: it answered 410. failing: it did nothing but fail for days. */
  reason: 'gone' | 'failing';
  failing_since: number;
}

export interface Model extends ModelVersion {
  id: string;
  object: 'model';
  /** Always 0: a manifest has no date. */
  created: number;
  owned_by: string;
  description: string;
  licence: string;
  task: 'text-classification' | 'embeddings';
  labels: string[] | null;
  multi_label: boolean | null;
  dimensions: number | null;
  max_tokens: number;
  /** Takes {"text","text_pair"}. */
  pairs: boolean;
  /** Used by requests that name no model. */
  default: boolean;
  /** Newest first. */
  versions: ModelVersion[];
}

export interface ModelVersion {
  version: string;
  /** SHA-256 of the default variant's file. */
  digest: string;
  default_variant: string;
  variants: {
    name: string;
    precision: string;
    digest: string;
    bytes: number;
    /** The largest difference to a golden output that is accepted. */
    tolerance: number;
  }[];
  ready_workers: number;
  backlog: {
    jobs: number;
    rows: number;
    tokens: number;
    /** Of batches, as far as they were handed out. */
    chunks: number;
  };
  /** How long the ready workers need for the backlog; null while none has a speed. */
  drain_s: number | null;
}

export interface ModelDetails extends Model {
  /** Markdown: README.md of the folder, its first 64 KiB; null when there is none. */
  card: string | null;
  /** Texts whose answers a worker proves before it is ready; 100 at most. */
  golden: ModelGoldenRow[];
}

export interface ModelGoldenRow {
  text: string;
  text_pair: string | null;
  /** What a job without parameters gives, by variant; the default one first. */
  expected: {
    /** Best first, 8 at most. */
    labels:
      | {
          label: string;
          score: number;
        }[]
      | null;
    /** The first 8 numbers of the vector. */
    embedding: number[] | null;
    variant: string;
  }[];
}

export interface NewApiKey extends ApiKey {
  /** `hr_<key id>_<secret>`, to be sent as Bearer. Shown only here. */
  secret: string;
}

export interface KeyRequest {
  /** For people: what the key is for. */
  name: string;
  tenant?: string | undefined;
  /** `admin` is for keys and tenants, of all tenants, and includes no other scope. */
  scopes: ('jobs' | 'batches' | 'webhooks' | 'admin')[];
  /** Of this key; null: as configured. */
  rate_limit?:
    | {
        /** Rows a second in the long run. */
        rows_per_s: number;
        /** Rows at once after a pause; no job may have more. */
        burst_rows: number;
      }
    | null
    | undefined;
  expires_at?: number | null | undefined;
}

export interface ApiKey {
  id: string;
  object: 'key';
  tenant: string;
  name: string;
  scopes: ('jobs' | 'batches' | 'webhooks' | 'admin')[];
  rate_limit: {
    /** Rows a second in the long run. */
    rows_per_s: number;
    /** Rows at once after a pause; no job may have more. */
    burst_rows: number;
  } | null;
  created_at: number;
  expires_at: number | null;
  /** Exact to about a minute. */
  last_used_at: number | null;
  revoked_at: number | null;
}

export interface Overview {
  object: 'overview';
  /** `models` for keys without the scope admin: no figures of all tenants together. */
  sight: 'all' | 'models';
  /** Length of a step of the history. */
  step_s: number;
  /** Of the last 15 minutes, oldest first. */
  history: OverviewSample[];
  now: OverviewSample;
}

export interface OverviewSample {
  /** Unix seconds. */
  at: number;
  models: ModelSample[];
  /** Its memory. */
  redis: {
    used_bytes: number;
    max_bytes: number | null;
  } | null;
  /** Since the sample before. */
  errors:
    | {
        code: string;
        /** What failed. */
        of: 'job' | 'request';
        count: number;
      }[]
    | null;
}

export interface ModelSample {
  /** name@version */
  model: string;
  /** That are ready for it. */
  workers: number;
  backlog: {
    /** Of interactive jobs. */
    rows: number;
    tokens: number;
    /** Of batches, as far as they were handed out. */
    chunks: number;
    /** Seconds that all ready workers need for it. */
    drain_s: number | null;
    /** Age of the job that is next. */
    oldest_s: number | null;
  };
  /** What is left of the batches that are being worked on. */
  bulk: {
    rows: number;
    tokens: number;
    drain_s: number | null;
  };
  traffic: {
    rows_per_s: number;
    tokens_per_s: number;
    /** Interactive jobs that came to their end. */
    jobs_per_s: number;
    /** Share of cells without a token. */
    padding_ratio: number | null;
    /** Rows of a tensor batch, on average. */
    batch_rows: number | null;
    /** From submission to the start of the run. */
    wait_ms: {
      p50: number;
      p95: number;
      p99: number;
    } | null;
    /** From submission to the result. */
    total_ms: {
      p50: number;
      p95: number;
      p99: number;
    } | null;
  } | null;
  engines: {
    total: number;
    ready: number;
    /** Share of their time in runs, 0 to 1. */
    busy: number | null;
    /** Since the workers that live now have started. */
    restarts: number;
  } | null;
}
