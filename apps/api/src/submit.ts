import type { createEnqueue } from '@headrace/shared/enqueue.ts';
import { newJobId } from '@headrace/shared/ids.ts';
import { invalidRequest } from '@headrace/shared/invalid-request.ts';
import { type JobRequest, prepareRows, type RowLimits } from '@headrace/shared/job-request.ts';
import { estimateTokens } from '@headrace/shared/jobs.ts';
import type { Metrics } from '@headrace/shared/metrics.ts';
import type { ModelCatalogue, ServedModel } from '@headrace/shared/model-catalogue.ts';
import type { JobPayload, RowInput } from '@headrace/shared/queues.ts';
import { redisFailure } from '@headrace/shared/redis.ts';
import type { WebhookTarget } from '@headrace/shared/webhooks/webhook-target.ts';
import { z } from 'zod';
import type { ToWebhookTarget } from './webhook-request.ts';

export interface SubmitDeps {
  models: ModelCatalogue;
  enqueue: ReturnType<typeof createEnqueue>;
  metrics: Metrics;
  limits: RowLimits;
  /** @throws AppError when nothing more is admitted at the moment */
  admit: (model: ServedModel, rows: number) => void;
  webhookTarget: ToWebhookTarget;
  now?: () => number;
}

export interface Submission {
  tenant: string;
  request: JobRequest;
  retryOf?: string;
  /** Of the job that is tried again; else the request says it. */
  webhook?: WebhookTarget | undefined;
  /** Called with the id before the job is enqueued, so that a caller can subscribe in time. */
  beforeEnqueue?: (id: string) => void;
}

export interface Submitted {
  id: string;
  payload: JobPayload;
  model: ServedModel;
}

export type Submit = (submission: Submission) => Promise<Submitted>;

/** The one way in for every API surface: validate, admit, give the job its place, enqueue. */
export function createSubmit(deps: SubmitDeps): Submit {
  const now = deps.now ?? Date.now;

  return async (submission) => {
    const { request, tenant } = submission;
    const model = deps.models.resolve(request.model);
    const rows = prepareRows(request.input, model.manifest.pairs, deps.limits);
    const parameters = parseParameters(model, request.parameters);
    const webhook = submission.webhook ?? deps.webhookTarget(request.webhook);
    deps.admit(model, rows.length);
    const createdMs = now();
    const id = newJobId(createdMs);
    const payload: JobPayload = {
      v: 1,
      tenant,
      model: model.ref,
      rows,
      parameters,
      priority: request.priority,
      ttl_s: request.ttl_s,
      timeout_s: request.timeout_s,
      metadata: request.metadata,
      created_ms: createdMs,
      tokens: totalTokens(rows, model.manifest.max_tokens),
      retry_of: submission.retryOf ?? null,
      ...(webhook && { webhook }),
    };
    submission.beforeEnqueue?.(id);
    try {
      await deps.enqueue({ id, queue: model.queue, payload });
    } catch (error) {
      throw redisFailure(error) ?? error;
    }
    deps.metrics.counters.jobs_submitted.inc({ model: model.ref, priority: payload.priority });
    return { id, payload, model };
  };
}

/** @throws AppError `invalid_request` with the path of the first wrong parameter */
export function parseParameters(model: ServedModel, parameters: Record<string, unknown>) {
  try {
    return { ...model.task.parse(parameters) };
  } catch (error) {
    if (!(error instanceof z.ZodError)) throw error;
    throw invalidRequest(error, ['parameters']);
  }
}

function totalTokens(rows: RowInput[], maxTokens: number): number {
  return rows.reduce((sum, row) => sum + estimateTokens(row, maxTokens), 0);
}
