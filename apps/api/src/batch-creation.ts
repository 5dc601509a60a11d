import {
  type Batch,
  type BatchDefinition,
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

interface Lookup {
  find(tenant: string, id: string): Promise<StoredBatch>;
  view(tenant: string, id: string): Promise<Batch>;
}

type NewBatch = Omit<BatchDefinition, 'id' | 'created_ms' | 'expires_ms'>;

/** The ways to a new batch. */
export function createBatchCreation(deps: BatchesDeps, { find, view }: Lookup) {
  const { store, admit, now = Date.now } = deps;

  async function add(definition: NewBatch, windowMs: number): Promise<Batch> {
    const created_ms = now();
    const id = newBatchId(created_ms);
    await store.create({ ...definition, id, created_ms, expires_ms: created_ms + windowMs });
    return view(definition.tenant, id);
  }

  return {
    /** @throws AppError `not_found` for the input, `invalid_request`, `model_not_found` */
    async create(tenant: string, request: BatchRequest): Promise<Batch> {
      admit();
      const scoring = scoringOf(request, deps.models);
      const windowS = windowSeconds(request.completion_window);
      if (windowS === null) {
        const param = 'completion_window';
        const message = `${param}: must be hours or days from 1h to 7d, such as 24h`;
        throw new AppError('invalid_request', { message, param });
      }
      const input = inputName(request);
      await checkInput(deps, tenant, input);
      const { completion_window, metadata, priority, dry_run, output_expires_after } = request;
      // What documents come to is what `/v1/jobs` gives.
      const endpoint = request.endpoint ?? '/v1/jobs';
      const definition = { tenant, endpoint, ...input, completion_window, metadata };
      const output_ttl_s = output_expires_after?.seconds ?? null;
      const more = { scoring, priority, dry_run, output_ttl_s };
      const isNew = { retry_of: null, input_version: null };
      return add({ v: 1, ...definition, ...more, ...isNew }, windowS * 1000);
    },

    /**
     * The rows that failed, were not run or were lost, as a new batch.
     * @throws AppError `batch_not_finished`; `invalid_request` when every row succeeded;
     *   `not_found` when the input is gone
     */
    async retry(tenant: string, id: string): Promise<Batch> {
      admit();
      const { definition, state } = await find(tenant, id);
      if (!isTerminal(state.status)) throw new AppError('batch_not_finished');
      if (state.error_file_id === null && !neverPlanned(state)) {
        throw new AppError('invalid_request', { message: 'No row of the batch has failed.' });
      }
      await checkInput(deps, tenant, definition);
      const windowMs = definition.expires_ms - definition.created_ms;
      // The lines that failed are those of the input as it was.
      return add({ ...definition, retry_of: id, input_version: state.input_version }, windowMs);
    },
  };
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
