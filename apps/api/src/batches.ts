import { BlobError, type BlobStore } from '@headrace/shared/blobs/blob-store.ts';
import {
  type Batch,
  batchView,
  isTerminal,
  type StoredBatch,
} from '@headrace/shared/bulk/batch.ts';
import type { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import { AppError } from '@headrace/shared/errors.ts';
import { isBatchId } from '@headrace/shared/ids.ts';
import type { Inputs } from '@headrace/shared/inputs/index.ts';
import type { ModelCatalogue } from '@headrace/shared/model-catalogue.ts';
import type { Keyspace } from '@headrace/shared/queues.ts';
import { createBatchCreation } from './batch-creation.ts';
import { createBatchResults, type ResultsPage, type ResultsQuery } from './batch-results.ts';
import type { Files } from './files.ts';
import type { ToWebhookTarget } from './webhook-request.ts';
import type { WorkersView } from './workers-view.ts';

export interface BatchesDeps {
  store: BatchStore;
  files: Files;
  blobs: BlobStore;
  inputs: Inputs;
  models: ModelCatalogue;
  workers: WorkersView;
  keys: Keyspace;
  /** Batches of one tenant that have not ended. */
  maxLive: number;
  webhookTarget: ToWebhookTarget;
  /** @throws AppError when no bulk work is admitted at the moment */
  admit: () => void;
  now?: () => number;
}

export interface BatchPage {
  data: Batch[];
  has_more: boolean;
  first_id: string | null;
  last_id: string | null;
}

export type Batches = ReturnType<typeof createBatches>;

/** Creating, reading and steering of batches; the dispatcher does what they ask for. */
export function createBatches(deps: BatchesDeps) {
  const { store, now = Date.now } = deps;
  const readResults = createBatchResults(deps);

  function render(batch: StoredBatch): Batch {
    const { tokensPerSecond } = deps.workers;
    return batchView(batch, { nowMs: now(), tokensPerSecond });
  }

  async function find(tenant: string, id: string): Promise<StoredBatch> {
    const batch = isBatchId(id) ? await store.read(id) : null;
    if (batch?.definition.tenant === tenant) return batch;
    throw new AppError('not_found', { message: 'No such batch.' });
  }

  async function view(tenant: string, id: string): Promise<Batch> {
    return render(await find(tenant, id));
  }

  return {
    get: view,
    ...createBatchCreation(deps, { find, view, render }),

    /** Rows that have finished, also while others run. */
    async results(tenant: string, id: string, query: ResultsQuery): Promise<ResultsPage> {
      try {
        return await readResults(await find(tenant, id), query);
      } catch (error) {
        if (!(error instanceof BlobError) || error.reason !== 'missing') throw error;
        // Its parts became its output in between.
        return readResults(await find(tenant, id), query);
      }
    },

    async list(tenant: string, after: string | null, limit: number): Promise<BatchPage> {
      const found = await store.list(tenant, after, limit);
      const data = found.slice(0, limit).map(render);
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
      const { state } = await find(tenant, id);
      if (!(await store.pause(id, paused, now()))) throw notRunning(state.status);
      return view(tenant, id);
    },
  };
}

function notRunning(status: string): AppError {
  const message = `The batch is ${status}.`;
  return new AppError('batch_not_running', { message });
}
