import {
  type Batch,
  type BatchEndpoint,
  batchView,
  isTerminal,
  type StoredBatch,
  windowSeconds,
} from '@headrace/shared/bulk/batch.ts';
import type { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import { AppError } from '@headrace/shared/errors.ts';
import { isBatchId, newBatchId } from '@headrace/shared/ids.ts';
import type { Files } from './files.ts';

export interface BatchesDeps {
  store: BatchStore;
  files: Files;
  /** @throws AppError when no bulk work is admitted at the moment */
  admit: () => void;
  now?: () => number;
}

export interface BatchRequest {
  input_file_id: string;
  endpoint: BatchEndpoint;
  completion_window: string;
  metadata: Record<string, string>;
}

export interface BatchPage {
  data: Batch[];
  has_more: boolean;
  first_id: string | null;
  last_id: string | null;
}

export type Batches = ReturnType<typeof createBatches>;

/** Creating, reading and steering of batches; the dispatcher does what they ask for. */
export function createBatches({ store, files, admit, now = Date.now }: BatchesDeps) {
  async function find(tenant: string, id: string): Promise<StoredBatch> {
    const batch = isBatchId(id) ? await store.read(id) : null;
    if (batch?.definition.tenant === tenant) return batch;
    throw new AppError('not_found', { message: 'No such batch.' });
  }

  async function view(tenant: string, id: string): Promise<Batch> {
    return batchView(await find(tenant, id), now());
  }

  /** @throws AppError `batch_not_running` */
  async function running(tenant: string, id: string): Promise<void> {
    const { state } = await find(tenant, id);
    if (state.status === 'validating' || state.status === 'in_progress') return;
    throw notRunning(state.status);
  }

  return {
    get: view,

    /** @throws AppError `not_found` for the input, `invalid_request` for the window */
    async create(tenant: string, request: BatchRequest): Promise<Batch> {
      admit();
      const windowS = windowSeconds(request.completion_window);
      if (windowS === null) {
        const param = 'completion_window';
        const message = `${param}: must be hours or days from 1h to 7d, such as 24h`;
        throw new AppError('invalid_request', { message, param });
      }
      const input = await inputOf(files, tenant, request.input_file_id);
      const createdMs = now();
      const id = newBatchId(createdMs);
      await store.create({
        v: 1,
        id,
        tenant,
        endpoint: request.endpoint,
        input_file_id: input.id,
        completion_window: request.completion_window,
        metadata: request.metadata,
        created_ms: createdMs,
        expires_ms: createdMs + windowS * 1000,
      });
      return view(tenant, id);
    },

    async list(tenant: string, after: string | null, limit: number): Promise<BatchPage> {
      const found = await store.list(tenant, after, limit);
      const data = found.slice(0, limit).map((batch) => batchView(batch, now()));
      return {
        data,
        has_more: found.length > data.length,
        first_id: data[0]?.id ?? null,
        last_id: data.at(-1)?.id ?? null,
      };
    },

    /** Nothing new is run; what has finished can be downloaded a moment later. Idempotent. */
    async cancel(tenant: string, id: string): Promise<Batch> {
      const { state } = await find(tenant, id);
      const fields = { cancelling_ms: now() };
      const from = ['validating' as const, 'in_progress' as const];
      const moved = await store.move(id, { from, to: 'cancelling', fields });
      if (!moved && isTerminal(state.status) && state.status !== 'cancelled') {
        throw notRunning(state.status);
      }
      return view(tenant, id);
    },

    /** No chunk is begun until it is resumed; chunks that run are finished. Idempotent. */
    async pause(tenant: string, id: string, paused: boolean): Promise<Batch> {
      await running(tenant, id);
      await store.set(id, { paused: paused ? 1 : 0 });
      return view(tenant, id);
    },
  };
}

async function inputOf(files: Files, tenant: string, id: string) {
  try {
    return await files.get(tenant, id);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'not_found') throw error;
    const message = 'input_file_id: no such file';
    throw new AppError('not_found', { message, param: 'input_file_id', cause: error });
  }
}

function notRunning(status: string): AppError {
  const message = `The batch is ${status}.`;
  return new AppError('batch_not_running', { message });
}
