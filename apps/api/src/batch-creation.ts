import {
  type Batch,
  type BatchDefinition,
  BatchStateSchema,
  isTerminal,
  neverPlanned,
  type StoredBatch,
  windowSeconds,
} from '@headrace/shared/bulk/batch.ts';
import { AppError } from '@headrace/shared/errors.ts';
import { newBatchId } from '@headrace/shared/ids.ts';
import type { InputName } from '@headrace/shared/inputs/index.ts';
import { type BatchRequest, inputName, scoringOf } from './batch-request.ts';
import type { BatchesDeps } from './batches.ts';
import type { Caller } from './middleware/caller.ts';
import type { Once } from './middleware/idempotency.ts';

interface Lookup {
  find(tenant: string, id: string): Promise<StoredBatch>;
  view(tenant: string, id: string): Promise<Batch>;
  render(batch: StoredBatch): Batch;
}

type Creator = Pick<Caller, 'tenant' | 'weight' | 'trace'>;

/** A batch as it was when it was created, by this request or by an earlier one under its key. */
export interface NewView {
  batch: Batch;
  replayed: boolean;
}

const NEW_STATE = BatchStateSchema.parse({ status: 'validating' });
/** When one of them ends is not known. */
const TOO_MANY_RETRY_S = 60;

type NewBatch = Omit<BatchDefinition, 'id' | 'created_ms' | 'expires_ms'>;

/** The ways to a new batch. */
export function createBatchCreation(deps: BatchesDeps, { find, view, render }: Lookup) {
  const { store, keys, maxLive, admit, now = Date.now } = deps;

  /** @throws AppError `overloaded` when the tenant has too many batches, `idempotency_mismatch` */
  async function add(definition: NewBatch, windowMs: number, once: Once | null): Promise<NewView> {
    const created_ms = now();
    const id = newBatchId(created_ms);
    const batch = { ...definition, id, created_ms, expires_ms: created_ms + windowMs };
    const kept = once && { key: keys.once(once.digest), keep: `${once.fingerprint} ${id}` };
    const outcome = await store.create(batch, { maxLive, once: kept });
    if (outcome.kind === 'stored-before') return again(definition.tenant, outcome.kept, once);
    if (outcome.kind === 'created') {
      return { batch: await view(definition.tenant, id), replayed: false };
    }
    const message = `The tenant has ${maxLive} batches that have not ended, and may not have more.`;
    throw new AppError('overloaded', { message, retryAfterS: TOO_MANY_RETRY_S });
  }

  /** The batch of an earlier request as it was then. @throws AppError `idempotency_mismatch` */
  async function again(tenant: string, kept: string, once: Once | null): Promise<NewView> {
    const [fingerprint, id = ''] = kept.split(' ');
    if (fingerprint !== once?.fingerprint) throw new AppError('idempotency_mismatch');
    const { definition } = await find(tenant, id);
    return { batch: render({ definition, state: NEW_STATE }), replayed: true };
  }

  /** What was done under the key before its answer may not be possible any more. */
  async function before(tenant: string, once: Once | null): Promise<NewView | null> {
    const kept = once && (await store.keptOf(keys.once(once.digest)));
    return kept ? again(tenant, kept, once) : null;
  }

  return {
    /** @throws AppError `not_found` for the input, `invalid_request`, `model_not_found` */
    async create(caller: Creator, request: BatchRequest, once: Once | null): Promise<NewView> {
      const { tenant, weight, trace } = caller;
      const former = await before(tenant, once);
      if (former) return former;
      admit();
      const scoring = scoringOf(request, deps.models);
      const windowMs = windowMsOf(request);
      const webhook = deps.webhookTarget(request.webhook) ?? null;
      const input = inputName(request);
      await checkInput(deps, tenant, input);
      const { completion_window, metadata, priority, dry_run, output_expires_after } = request;
      // What documents come to is what `/v1/jobs` gives.
      const endpoint = request.endpoint ?? '/v1/jobs';
      const definition = { tenant, endpoint, ...input, completion_window, metadata };
      const output_ttl_s = output_expires_after?.seconds ?? null;
      const more = { scoring, priority, weight, dry_run, output_ttl_s, webhook };
      const isNew = { retry_of: null, input_version: null };
      const traced = trace !== undefined && { traceparent: trace };
      return add({ v: 1, ...definition, ...more, ...isNew, ...traced }, windowMs, once);
    },

    /**
     * The rows that failed, were not run or were lost, as a new batch.
     * @throws AppError `batch_not_finished`; `invalid_request` when every row succeeded;
     *   `not_found` when the input is gone
     */
    async retry(caller: Creator, id: string, once: Once | null): Promise<NewView> {
      const { tenant, weight, trace } = caller;
      const former = await before(tenant, once);
      if (former) return former;
      admit();
      const { definition, state } = await find(tenant, id);
      if (!isTerminal(state.status)) throw new AppError('batch_not_finished');
      if (state.error_file_id === null && !neverPlanned(state)) {
        throw new AppError('invalid_request', { message: 'No row of the batch has failed.' });
      }
      await checkInput(deps, tenant, definition);
      const windowMs = definition.expires_ms - definition.created_ms;
      // The lines that failed are those of the input as it was.
      const isNew = { retry_of: id, weight, input_version: state.input_version };
      const { traceparent: _former, ...same } = definition;
      const traced = trace !== undefined && { traceparent: trace };
      return add({ ...same, ...isNew, ...traced }, windowMs, once);
    },
  };
}

function windowMsOf({ completion_window }: BatchRequest): number {
  const windowS = windowSeconds(completion_window);
  if (windowS !== null) return windowS * 1000;
  const param = 'completion_window';
  const message = `${param}: must be hours or days from 1h to 7d, such as 24h`;
  throw new AppError('invalid_request', { message, param });
}

/** What is at a URL is found out by the dispatcher: the API may not reach it. */
async function checkInput(deps: BatchesDeps, tenant: string, input: InputName): Promise<void> {
  if (input.input_url !== null) return deps.inputs.check(input.input_url);
  try {
    await deps.files.get(tenant, input.input_file_id ?? '');
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'not_found') throw error;
    const message = 'input_file_id: no such file';
    throw new AppError('not_found', { message, param: 'input_file_id', cause: error });
  }
}
