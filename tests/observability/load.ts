import { createBatchClient, jobLine, jobLines } from '../helpers/batch-client.ts';
import { type BulkSystem, startBulkSystem } from '../helpers/bulk-system.ts';
import { answer, type Receiver, startReceiver } from '../helpers/receiver.ts';

const PRIORITIES = ['high', 'normal', 'low'];
const BATCH_ROWS = 500;
const LONG_TEXT = 'a great product '.repeat(1_000);
/** Of the first model, whose batch has a row that fails. */
const BATCH = `${jobLines(BATCH_ROWS)}${jobLine(BATCH_ROWS, '')}\n`;

/** A whole Headrace, and callers who give it what the dashboards are about. */
export interface LoadedSystem {
  system: BulkSystem;
  /** A few jobs, of which rows, callbacks and requests fail, and now and then a batch. */
  round(): Promise<void>;
  stop(): Promise<void>;
}

export async function startLoadedSystem(): Promise<LoadedSystem> {
  const receiver = await startReceiver();
  receiver.on('/broken', answer(500));
  const system = await startBulkSystem({
    HEADRACE_MODELS: 'tiny-classifier,tiny-poison',
    HEADRACE_WEBHOOK_ALLOW: '127.0.0.1',
    HEADRACE_WEBHOOK_PORTS: String(receiver.port),
    HEADRACE_WEBHOOK_SCHEDULE_S: '0,0',
  });
  const batches = createBatchClient(system);
  let rounds = 0;
  return {
    system,
    async round() {
      const first = rounds === 0;
      rounds += 1;
      const poison = first ? 'crash' : 'nan';
      await Promise.all([
        ...jobsOf(receiver, poison).map((job) => submit(system.apiUrl, job)),
        fetch(`${system.apiUrl}/v1/jobs/job_unknown`),
        first && batches.run(BATCH, { endpoint: '/v1/jobs' }),
      ]);
    },
    async stop() {
      await system.stop();
      await receiver.stop();
    },
  };
}

function jobsOf(receiver: Receiver, poison: string): object[] {
  return [
    ...PRIORITIES.map((priority) => ({
      input: ['a great product', LONG_TEXT],
      priority,
      webhook: { url: receiver.url('/well') },
    })),
    {
      model: 'tiny-poison',
      input: ['fine', poison],
      webhook: { url: receiver.url('/broken') },
    },
  ];
}

/** @returns when the job is finished */
async function submit(url: string, job: object): Promise<void> {
  const response = await fetch(`${url}/v1/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', prefer: 'wait=30' },
    body: JSON.stringify(job),
  });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
}
