import { setTimeout as sleep } from 'node:timers/promises';
import { type BatchState, isTerminal } from '@headrace/shared/bulk/batch.ts';
import { BatchStore } from '@headrace/shared/bulk/batch-store.ts';
import type { Lifecycle } from '@headrace/shared/lifecycle.ts';
import { createKeyspace } from '@headrace/shared/queues.ts';
import { request } from 'undici';
import { z } from 'zod';
import { openConnection } from '../bare-queue.ts';
import type { System } from '../system.ts';

/** How long a batch took, by the clocks of the services, which are those of one machine. */
export interface BatchSeconds {
  /** From `POST /v1/batches` to its file of results. */
  total: number;
  /** Until it was planned, the dispatcher's delay included. */
  plan: number;
  score: number;
  assemble: number;
}

export interface CreatedBatch {
  id: string;
  /** When it was asked for. */
  createdMs: number;
}

export interface BulkClient {
  /** Creates a batch of the documents of an uploaded file. */
  create(model: string, fileId: string): Promise<CreatedBatch>;
  /** What it has come to. @throws Error when it has failed, or one of its rows */
  read(id: string): Promise<BatchState>;
  /** @throws Error when it ends otherwise than with every row answered */
  finished(batch: CreatedBatch): Promise<BatchSeconds>;
  /** Creates one, and waits for it. */
  run(model: string, fileId: string): Promise<BatchSeconds>;
  /** Cancels it, and waits until it is over. */
  stop(id: string): Promise<void>;
}

const POLL_MS = 250;

/** Batches are created over HTTP; how far they are is read in Redis, which costs the API nothing. */
export function openBulkClient({ env, apiUrl }: System, lifecycle: Lifecycle): BulkClient {
  const connection = openConnection(env.REDIS_URL);
  lifecycle.push('connection', () => connection.disconnect());
  const store = new BatchStore(connection, createKeyspace(env.HEADRACE_PREFIX));

  async function read(id: string): Promise<BatchState> {
    const batch = await store.read(id);
    if (batch === null) throw new Error(`${id} is gone`);
    const { status, failed, errors } = batch.state;
    if (status === 'failed' || failed > 0) {
      throw new Error(`${id} is ${status}, ${failed} rows failed: ${JSON.stringify(errors)}`);
    }
    return batch.state;
  }

  async function over(id: string): Promise<BatchState> {
    for (;;) {
      const state = await read(id);
      if (isTerminal(state.status)) return state;
      await sleep(POLL_MS);
    }
  }

  async function finished({ id, createdMs }: CreatedBatch): Promise<BatchSeconds> {
    return secondsOf(createdMs, await over(id));
  }

  async function create(model: string, fileId: string): Promise<CreatedBatch> {
    const documents = { format: 'jsonl', text: 'text', id: 'id' };
    const createdMs = Date.now();
    const body = { model, input_file_id: fileId, documents };
    return { ...(await post(`${apiUrl}/v1/batches`, body)), createdMs };
  }

  return {
    create,
    finished,
    read,
    run: async (model, fileId) => finished(await create(model, fileId)),
    async stop(id) {
      await post(`${apiUrl}/v1/batches/${id}/cancel`, {});
      await over(id);
    },
  };
}

function secondsOf(created: number, state: BatchState): BatchSeconds {
  const { status, in_progress_ms, finalizing_ms, completed_ms, output_file_id } = state;
  const times = [in_progress_ms, finalizing_ms, completed_ms].filter((time) => time !== null);
  const [planned, scored, assembled] = times;
  if (planned === undefined || scored === undefined || assembled === undefined) {
    throw new Error(`the batch is ${status}`);
  }
  if (output_file_id === null) throw new Error('the batch has no file of results');
  return {
    total: (assembled - created) / 1000,
    plan: (planned - created) / 1000,
    score: (scored - planned) / 1000,
    assemble: (assembled - scored) / 1000,
  };
}

const Created = z.object({ id: z.string() });

async function post(url: string, body: object) {
  const headers = { 'content-type': 'application/json' };
  const answer = await request(url, { method: 'POST', headers, body: JSON.stringify(body) });
  const text = await answer.body.text();
  if (answer.statusCode !== 200) throw new Error(`POST ${url}: ${answer.statusCode} ${text}`);
  return Created.parse(JSON.parse(text));
}
