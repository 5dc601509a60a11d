import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Batch } from '@headrace/shared/bulk/batch.ts';
import { BatchClient } from '../chaos/harness/batch-client.ts';
import { csvDocuments, SCORING } from '../chaos/harness/batch-input.ts';
import { createTexts } from '../chaos/harness/texts.ts';
import { type BulkSystem, startBulkSystem } from '../helpers/bulk-system.ts';
import { BUNDLED_MODELS } from '../helpers/engines.ts';

const ROWS = 150;
const CALLERS = 3;
/** Jobs that have to be answered while the batch runs: fewer would prove nothing. */
const LEAST_JOBS = 30;
const LOOK_MS = 20;

let system: BulkSystem;
let client: BatchClient;
before(async () => {
  system = await startBulkSystem({
    HEADRACE_MODELS_DIR: BUNDLED_MODELS,
    HEADRACE_MODELS: 'sentiment,minilm',
    HEADRACE_DEFAULT_MODEL: 'sentiment',
    HEADRACE_ENGINES: '2',
    HEADRACE_CHUNK_ROWS: '40',
  });
  client = new BatchClient(system.apiUrl);
});
after(() => system.stop());

async function score(model: string, input_file_id: string): Promise<Batch> {
  const { id } = await client.create({ model, input_file_id, ...SCORING });
  for (;;) {
    const batch = await client.get(id);
    if (batch.status === 'completed') return batch;
    assert.ok(['validating', 'in_progress', 'finalizing'].includes(batch.status), batch.status);
    await sleep(LOOK_MS);
  }
}

/** Callers who each submit one text, wait for its answer and submit the next. */
function startTraffic(model: string) {
  const next = createTexts(77);
  const answered = { jobs: 0 };
  let running = true;
  const headers = { 'content-type': 'application/json', prefer: 'wait=60' };
  const call = async () => {
    while (running) {
      const body = JSON.stringify({ model, input: [next(), next()] });
      const response = await fetch(`${system.apiUrl}/v1/jobs`, { method: 'POST', headers, body });
      assert.equal(response.status, 200);
      await response.arrayBuffer();
      answered.jobs += 1;
    }
  };
  const calls = Promise.all(Array.from({ length: CALLERS }, call));
  calls.catch(() => undefined);
  return {
    answered,
    stop() {
      running = false;
      return calls;
    },
  };
}

describe('the results of a batch', () => {
  for (const model of ['sentiment', 'minilm']) {
    test(`of ${model} are the same bits alone and beside interactive jobs`, async () => {
      const input = await client.upload(csvDocuments(ROWS, 41));
      const alone = await client.content((await score(model, input)).output_file_id);
      assert.equal(alone.lines, ROWS);

      const traffic = startTraffic(model);
      let before = 0;
      let beside: Batch;
      try {
        while (traffic.answered.jobs < CALLERS) await sleep(LOOK_MS);
        before = traffic.answered.jobs;
        beside = await score(model, input);
      } finally {
        await traffic.stop();
      }
      assert.ok(traffic.answered.jobs - before >= LEAST_JOBS, `${traffic.answered.jobs} jobs`);
      assert.deepEqual(await client.content(beside.output_file_id), alone);
    });
  }
});
