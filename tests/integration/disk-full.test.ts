import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { z } from 'zod';
import { type BatchClient, createBatchClient, jobLines } from '../helpers/batch-client.ts';
import { type BulkSystem, startBulkSystem } from '../helpers/bulk-system.ts';
import { startDispatcher, startWorker } from '../helpers/processes.ts';
import { mountSmallDisk, setWritable } from '../helpers/small-disk.ts';

const REQUESTS = { endpoint: '/v1/jobs' };
const WAITS = 'the file storage: full';
const CSV = `text\n${Array.from({ length: 60 }, (_, i) => `the cat number ${i}`).join('\n')}`;
const DOCUMENTS = { model: 'tiny-classifier', documents: { format: 'csv' } };

async function startSystem(t: TestContext, env: Record<string, string>): Promise<BulkSystem> {
  const system = await startBulkSystem({ HEADRACE_CHUNK_ROWS: '50', ...env });
  t.after(() => system.stop());
  return system;
}

/** A batch that waits says so, in the stage where it is. */
async function waits(batches: BatchClient, id: string, status: string): Promise<void> {
  const batch = await batches.until(id, (now) => now.status === status && now.waiting_for !== null);
  assert.equal(batch.waiting_for, WAITS);
}

async function completes(batches: BatchClient, id: string, rows: number): Promise<void> {
  const batch = await batches.finished(id);
  assert.deepEqual([batch.status, batch.waiting_for], ['completed', null]);
  assert.deepEqual(batch.request_counts, { total: rows, completed: rows, failed: 0 });
  assert.equal((await batches.linesOf(batch.output_file_id)).length, rows);
}

async function refusesUploads({ apiUrl }: BulkSystem): Promise<void> {
  const form = new FormData();
  form.append('purpose', 'batch');
  form.append('file', new Blob([jobLines(1_000)]), 'a.jsonl');
  const answer = await fetch(`${apiUrl}/v1/files`, { method: 'POST', body: form });
  assert.equal(answer.status, 503);
  const { error } = z
    .object({ error: z.object({ code: z.string(), message: z.string(), retryable: z.boolean() }) })
    .parse(await answer.json());
  assert.deepEqual([error.code, error.retryable], ['storage_unavailable', true]);
  assert.match(error.message, /full/);
  assert.ok(Number(answer.headers.get('retry-after')) > 0);
}

describe('a disk that is full', () => {
  test('makes uploads and batches wait in every stage until there is room', async (t) => {
    const disk = mountSmallDisk();
    if (disk === null) return t.skip('needs the right to mount a tmpfs');
    t.after(() => disk.remove());
    const system = await startSystem(t, { HEADRACE_BLOBS: disk.folder });
    const batches = createBatchClient(system);
    const [lines, csv] = [await batches.upload(jobLines(200)), await batches.upload(CSV)];

    disk.fill();
    await refusesUploads(system);
    assert.deepEqual(readdirSync(join(disk.folder, '.tmp')), []);
    assert.equal(readdirSync(join(disk.folder, 'files')).length, 2);
    const planning = await batches.post('', { input_file_id: csv, ...DOCUMENTS });
    await waits(batches, planning.id, 'validating');
    disk.free();
    await completes(batches, planning.id, 60);

    await system.worker.stop();
    const { id } = await batches.post('', { input_file_id: lines, ...REQUESTS });
    await batches.until(id, ({ status }) => status === 'in_progress');
    disk.fill();
    system.worker = await startWorker({ env: system.env });
    await waits(batches, id, 'in_progress');
    // Nobody who would assemble what the worker comes to.
    await system.dispatcher.stop();
    disk.free();
    await batches.until(id, ({ progress }) => progress.rows_done === 200);
    disk.fill();
    system.dispatcher = await startDispatcher({ env: system.env });
    await waits(batches, id, 'finalizing');
    disk.free();
    await completes(batches, id, 200);
  });

  test('for one process alone, as a quota has it, makes it wait as well', async (t) => {
    const system = await startSystem(t, {});
    const batches = createBatchClient(system);
    const [lines, csv] = [await batches.upload(jobLines(200)), await batches.upload(CSV)];
    const pids = [system.dispatcher.pid, system.worker.pid];
    if (!setWritable(pids, false)) return t.skip('needs prlimit');

    const planning = await batches.post('', { input_file_id: csv, ...DOCUMENTS });
    await waits(batches, planning.id, 'validating');
    setWritable(pids.slice(0, 1), true);
    await waits(batches, planning.id, 'in_progress');
    setWritable(pids, true);
    await completes(batches, planning.id, 60);

    const { id } = await batches.post('', { input_file_id: lines, ...REQUESTS });
    await completes(batches, id, 200);
  });
});
