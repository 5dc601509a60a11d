import type { CallerTerms, Enqueue, NewJob } from '@headrace/shared/enqueue.ts';
import { newJobId } from '@headrace/shared/ids.ts';
import { invalidRequest } from '@headrace/shared/invalid-request.ts';
import { type JobRequest, prepareRows, type RowLimits } from '@headrace/shared/job-request.ts';
import { estimateTokens } from '@headrace/shared/jobs.ts';
import type { Metrics } from '@headrace/shared/metrics.ts';
import type { ModelCatalogue, ServedModel } from '@headrace/shared/model-catalogue.ts';
import type { JobPayload, Keyspace, RowInput } from '@headrace/shared/queues.ts';
import { redisFailure } from '@headrace/shared/redis.ts';
import type { WebhookTarget } from '@headrace/shared/webhooks/webhook-target.ts';
import { z } from 'zod';
import type { Room, Work } from './backlog-view.ts';
import {
  type DefaultTerms,
  keepOf,
  type StoredJob,
  storedBefore,
  termsOf,
} from './enqueue-outcome.ts';
import type { CallerLimits } from './middleware/caller.ts';
import type { Once } from './middleware/idempotency.ts';
import type { ToWebhookTarget } from './webhook-request.ts';

export interface SubmitDeps {
  models: ModelCatalogue;
  keys: Keyspace;
  enqueue: Enqueue;
  metrics: Metrics;
  limits: RowLimits;
  terms: DefaultTerms;
  /** What is kept of an Idempotency-Key. */
  keptOf: (key: string) => Promise<string | null>;
  /** @throws AppError when nothing more is admitted at the moment */
  admit: (model: ServedModel, work: Work) => Room;
  webhookTarget: ToWebhookTarget;
  now?: () => number;
}

export interface Submission {
  tenant: string;
  /** What the tenant and its key may use up. */
  caller: CallerLimits;
  request: JobRequest;
  retryOf?: string;
  /** With an Idempotency-Key. */
  once?: Once | null;
  /** Of the job that is tried again; else the request says it. */
  webhook?: WebhookTarget | undefined;
  /** The span of this submission, while tracing is on. */
  trace?: string;
  /** Called with the id before the job is enqueued, so that a caller can subscribe in time. */
  beforeEnqueue?: (id: string) => void;
}

export interface Submitted {
  id: string;
  payload: JobPayload;
  model: ServedModel;
  /** It was stored by an earlier request under the same Idempotency-Key. */
  replayed: boolean;
}

export type Submit = (submission: Submission) => Promise<Submitted>;

/** The one way in for every API surface: validate, admit, give the job its place, enqueue. */
export function createSubmit(deps: SubmitDeps): Submit {
  const now = deps.now ?? Date.now;

  /** What was stored before is answered also while nothing is admitted. @throws the refusal */
  async function formerOf(once: Once | null, refusal: unknown): Promise<StoredJob> {
    const kept = once && (await deps.keptOf(deps.keys.once(once.digest)).catch(() => null));
    const former = kept ? storedBefore({ kind: 'stored-before', kept }, once) : null;
    if (former === null) throw refusal;
    return former;
  }

  /** @returns the job that came first under the Idempotency-Key, if one did */
  async function store(
    job: NewJob & { terms: CallerTerms },
    { model, once }: { model: ServedModel; once: Once | null },
  ): Promise<StoredJob | null> {
    const { id, payload } = job;
    let room: Room;
    try {
      const { tenant, rows, tokens } = payload;
      room = deps.admit(model, { tenant, rows: rows.length, tokens });
    } catch (refusal) {
      return formerOf(once, refusal);
    }
    const stored = { id, createdMs: payload.created_ms, model: payload.model };
    const first = once && { key: deps.keys.once(once.digest), keep: keepOf(once, stored) };
    const bounded =
      room.maxRows === null ? job : { ...job, terms: within(job.terms, room.maxRows) };
    try {
      const outcome = await deps.enqueue(first === null ? bounded : { ...bounded, once: first });
      if (outcome.kind !== 'added') room.takeBack();
      if (outcome.kind === 'too-many-rows' && room.maxRows !== null) room.refuse();
      return storedBefore(outcome, once);
    } catch (error) {
      throw redisFailure(error) ?? error;
    }
  }

  return async (submission) => {
    const { request, tenant, caller, trace, once = null } = submission;
    const model = deps.models.resolve(request.model);
    const rows = prepareRows(request.input, model.manifest.pairs, deps.limits);
    const parameters = parseParameters(model, request.parameters);
    const terms = termsOf(caller, { tenant, rows: rows.length }, deps.terms);
    const webhook = submission.webhook ?? deps.webhookTarget(request.webhook);
    const tokens = totalTokens(rows, model.manifest.max_tokens);
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
      tokens,
      retry_of: submission.retryOf ?? null,
      ...(terms.weight !== 1 && { weight: terms.weight }),
      ...(webhook && { webhook }),
      ...(trace !== undefined && { traceparent: trace }),
    };
    submission.beforeEnqueue?.(id);
    const job = { id, queue: model.queue, payload, terms };
    const before = await store(job, { model, once });
    if (before !== null) {
      const first = { ...payload, created_ms: before.createdMs, model: before.model };
      const then = deps.models.find(before.model) ?? model;
      return { id: before.id, payload: first, model: then, replayed: true };
    }
    deps.metrics.counters.jobs_submitted.inc({ model: model.ref, priority: payload.priority });
    return { id, payload, model, replayed: false };
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

function within(terms: CallerTerms, maxRows: number): CallerTerms {
  return { ...terms, maxRows: Math.min(maxRows, terms.maxRows ?? maxRows) };
}

function totalTokens(rows: RowInput[], maxTokens: number): number {
  return rows.reduce((sum, row) => sum + estimateTokens(row, maxTokens), 0);
}
