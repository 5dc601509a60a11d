import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Batch, BatchSchema } from '@headrace/shared/bulk/batch.ts';
import { toFile } from 'openai';
import { z } from 'zod';
import type { BulkSystem } from './bulk-system.ts';

const DEADLINE_MS = 120_000;
const DONE = ['completed', 'failed', 'expired', 'cancelled'];

export interface CallAnswer {
  status: number;
  body: unknown;
}

export type Row = Record<string, unknown>;

export type BatchClient = ReturnType<typeof createBatchClient>;

/** What tests of batches ask of a running system, over HTTP. */
export function createBatchClient({ client, apiUrl }: Pick<BulkSystem, 'client' | 'apiUrl'>) {
  async function upload(content: string | Uint8Array): Promise<string> {
    const file = await toFile(Buffer.from(content), 'input');
    return (await client.files.create({ file, purpose: 'user_data' })).id;
  }

  /** Below `/v1/batches`; a body is posted. */
  async function call(path: string, body?: object): Promise<CallAnswer> {
    const response = await fetch(`${apiUrl}/v1/batches${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: JSON.parse(await response.text()) };
  }

  /** Posts, and the answer must be a batch. */
  async function post(path: string, request: object = {}): Promise<Batch> {
    const { status, body } = await call(path, request);
    assert.equal(status, 200, JSON.stringify(body));
    return BatchSchema.parse(body);
  }

  async function get(id: string): Promise<Batch> {
    return BatchSchema.parse((await call(`/${id}`)).body);
  }

  /** Waits until a batch is as it should be. */
  async function until(id: string, fits: (batch: Batch) => boolean): Promise<Batch> {
    const deadline = Date.now() + DEADLINE_MS;
    for (;;) {
      const batch = await get(id);
      if (fits(batch)) return batch;
      assert.ok(!DONE.includes(batch.status), `it has ended: ${JSON.stringify(batch)}`);
      assert.ok(Date.now() < deadline, `still ${JSON.stringify(batch)}`);
      await sleep(25);
    }
  }

  const finished = (id: string) => until(id, ({ status }) => DONE.includes(status));

  async function create(content: string | Uint8Array, request: object): Promise<Batch> {
    return post('', { input_file_id: await upload(content), ...request });
  }

  async function bytesOf(fileId: string | null): Promise<Buffer> {
    if (fileId === null) return Buffer.alloc(0);
    return Buffer.from(await (await client.files.content(fileId)).arrayBuffer());
  }

  async function linesOf(fileId: string | null): Promise<Row[]> {
    const lines = (await bytesOf(fileId)).toString().split('\n').slice(0, -1);
    return lines.map((line) => z.record(z.string(), z.unknown()).parse(JSON.parse(line)));
  }

  return {
    ...{ upload, call, post, get, until, finished, create, bytesOf, linesOf },
    run: async (content: string | Uint8Array, request: object) =>
      finished((await create(content, request)).id),
  };
}

/** A line of an input of requests. */
export function jobLine(i: number, input: unknown = `text number ${i}`): string {
  const body = { model: 'tiny-classifier', input };
  return JSON.stringify({ custom_id: `row-${i}`, method: 'POST', url: '/v1/jobs', body });
}

export function jobLines(count: number): string {
  return Array.from({ length: count }, (_, i) => `${jobLine(i)}\n`).join('');
}
