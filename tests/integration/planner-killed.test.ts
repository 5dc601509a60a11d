import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type BatchClient, createBatchClient, jobLine, jobLines } from '../helpers/batch-client.ts';
import { type BulkSystem, startBulkSystem } from '../helpers/bulk-system.ts';
import { startDispatcher } from '../helpers/processes.ts';
import { startS3, type TestS3 } from '../helpers/s3.ts';
import { type Fate, type S3Switch, startS3Switch } from '../helpers/s3-switch.ts';

const REQUESTS = { endpoint: '/v1/jobs' };
const ROWS = 400;
/** With a duplicate, so that what the planner finds out over all rows is there, too. */
const REQUEST_LINES = `${jobLines(ROWS)}${jobLine(7)}\n`;
const CSV = `id,text\n${Array.from({ length: ROWS }, (_, i) => `${i},the cat number ${i}`).join('\n')}`;
const DOCUMENTS = {
  ...{ model: 'tiny-classifier', documents: { format: 'csv', id: 'id' } },
  output: { format: 'csv', join: true },
};

let s3: TestS3;
let door: S3Switch;
let system: BulkSystem;
let batches: BatchClient;
before(async () => {
  s3 = await startS3();
  // Long enough for nothing that hangs to be tried again before the process is killed.
  door = await startS3Switch(s3, '&timeout_s=60');
  system = await startBulkSystem({
    ...{ ...s3.env, HEADRACE_BLOBS: door.url, HEADRACE_CHUNK_ROWS: '50' },
  });
  batches = createBatchClient(system);
});
after(async () => {
  await system.stop();
  await door.stop();
  await s3.stop();
});

/** Kills the dispatcher at the moment when every one of these requests is on its way. */
async function killedAt(points: [RegExp, Fate][], begin: () => Promise<unknown>): Promise<void> {
  door.stopped.length = 0;
  door.fate = (name) => points.find(([fits]) => fits.test(name))?.[1] ?? 'pass';
  await begin();
  await Promise.all(points.map(([fits]) => door.stoppedAt(fits)));
  await system.dispatcher.kill9();
}

async function restart(): Promise<void> {
  system.dispatcher = await startDispatcher({ env: system.env });
}

describe('a dispatcher that is killed while it plans', () => {
  test('neither doubles nor loses a row, wherever it was', async () => {
    const packed = gzipSync(CSV);
    const undisturbed = [
      await batches.run(REQUEST_LINES, REQUESTS),
      await batches.run(packed, DOCUMENTS),
    ];
    const inputs = [await batches.upload(REQUEST_LINES), await batches.upload(packed)];
    const ids: string[] = [];
    const create = async () => {
      for (const [i, request] of [REQUESTS, DOCUMENTS].entries()) {
        ids.push((await batches.post('', { input_file_id: inputs[i], ...request })).id);
      }
    };
    const of = (i: number, what: string) => new RegExp(`^PUT .*/batches/${ids[i]}/${what}`);

    // Half-way through the input; and before the rows that were written anew are stored.
    const reading = new RegExp(`^GET .*/files/${inputs[0]}\\?`);
    const staging = /^PUT .*\/batches\/[^/]+\/input/;
    await killedAt(
      [
        [reading, 'hang'],
        [staging, 'hang'],
      ],
      create,
    );
    // Before the plan is stored; and after the rows are.
    await killedAt(
      [
        [of(0, 'plan.json'), 'hang'],
        [of(1, 'input'), 'withhold'],
      ],
      restart,
    );
    // After the plans are stored, and before the batches say so.
    await killedAt(
      [
        [of(0, 'plan.json'), 'withhold'],
        [of(1, 'plan.json'), 'withhold'],
      ],
      restart,
    );
    door.fate = () => 'pass';
    await restart();
    // While the first chunks are given out.
    await batches.until(ids[0] ?? '', ({ status }) => status !== 'validating');
    await system.dispatcher.kill9();
    await restart();

    for (const [i, id] of ids.entries()) {
      const batch = await batches.finished(id);
      const expected = undisturbed[i];
      assert.ok(expected);
      assert.equal(batch.status, 'completed', JSON.stringify(batch));
      assert.deepEqual(batch.request_counts, expected.request_counts);
      for (const file of ['output_file_id', 'error_file_id'] as const) {
        assert.deepEqual(await batches.bytesOf(batch[file]), await batches.bytesOf(expected[file]));
      }
    }
    assert.deepEqual(undisturbed[0]?.request_counts, { total: 401, completed: 400, failed: 1 });
  });
});
