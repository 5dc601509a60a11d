import { newBatchId, newFileId, newJobId } from '@headrace/shared/ids.ts';
import { z } from 'zod';
import { startBulkSystem } from '../../helpers/bulk-system.ts';
import { type Operation, readApiDocument } from '../harness/api-document.ts';
import { endOfBatch } from '../harness/batch-end.ts';
import { type ChaosRow, judge } from '../harness/row.ts';
import { ADMIN_KEY, createTenant, type Tenant } from '../harness/tenants.ts';

/** What a tenant has, by the beginning of the paths that name it. */
interface Resource {
  path: string;
  ids: string[];
  /** A well-formed id that nobody has. */
  unknown(): string;
}

/** How the same operation may be asked for otherwise. */
const QUERIES: Record<string, string[]> = {
  'GET /v1/jobs/{id}': ['?wait=0', '?wait=1'],
  'GET /v1/batches/{id}/results': ['?limit=1', '?kind=errors'],
};
/** Both answers of a comparison are asked for with it. */
const REQUEST_ID = 'foreign-or-unknown';
const OF_THE_CONNECTION = new Set(['date', 'connection', 'keep-alive']);

export const foreignIds: ChaosRow = {
  row: 15,
  title: "every route × another tenant's id",
  goal: '404 always, same body and header set as an unknown id',
  plainBullmq: '–',
  headline: ['operations', 'requests', 'answers_other_than_404', 'answers_that_differ'],
  async run({ say }) {
    const system = await startBulkSystem({ HEADRACE_ADMIN_KEY: ADMIN_KEY });
    try {
      const { apiUrl } = system;
      const owner = await createTenant(apiUrl, 'owner');
      const stranger = await createTenant(apiUrl, 'stranger');
      const resources = await createResources(owner);
      const before = await look(apiUrl, owner, resources);
      const document = await (await fetch(`${apiUrl}/openapi.json`)).json();
      // Keys and tenants are everybody's that has the scope admin, models everybody's.
      const operations = readApiDocument(document).operations.filter(
        ({ path, scope }) => path.includes('{') && scope !== null && scope !== 'admin',
      );
      const count = { requests: 0, notFound: 0, wrong: 0, different: 0 };
      for (const operation of operations) {
        await compareAll({ apiUrl, stranger, resources, operation, count });
        say(`${operation.method} ${operation.path}`);
      }
      await compareInputs({ apiUrl, stranger, resources, count });
      const seen = await listed(apiUrl, stranger);
      const unchanged = (await look(apiUrl, owner, resources)).text === before.text;
      return {
        figures: {
          operations: operations.length,
          ids: resources.reduce((sum, { ids }) => sum + ids.length, 0),
          requests: count.requests,
          answers_404: count.notFound,
          answers_other_than_404: count.wrong,
          answers_that_differ: count.different,
          listed_to_the_stranger: seen,
        },
        ...judge({
          'there is something to ask for': operations.length >= 12 && before.found === before.asked,
          'every answer is 404': count.wrong === 0,
          'a foreign id is answered like an unknown one': count.different === 0,
          'no list shows what is foreign': seen === 0,
          'what was asked for is as it was': unchanged,
        }),
      };
    } finally {
      await system.stop();
    }
  },
};

/** Jobs, files and batches in several states. */
async function createResources({ client }: Tenant): Promise<Resource[]> {
  const { jobs, files, batches } = client;
  // No worker of this system serves it.
  const waiting = { model: 'tiny-pairs', input: { text: 'a', text_pair: 'b' } };
  const queued = await jobs.submit(waiting);
  const canceled = await jobs.submit(waiting);
  await jobs.cancel(canceled.id);
  const succeeded = await jobs.submit({ input: 'the cat' });
  await jobs.wait(succeeded.id);
  const content = new Blob(['the cat\n', '\n', 'the dog\n']);
  const file = await files.upload({ content, filename: 'rows', purpose: 'user_data' });
  const documents = { format: 'text' } as const;
  const request = { model: 'tiny-classifier', input_file_id: file.id, documents };
  const completed = await batches.create(request);
  const { output_file_id: output } = await endOfBatch(client, completed.id);
  const pairs = { ...documents, format: 'jsonl', text_pair: 'text_pair' } as const;
  const lines = new Blob([JSON.stringify({ text: 'a', text_pair: 'b' })]);
  const other = await files.upload({ content: lines, filename: 'pairs', purpose: 'user_data' });
  const live = await batches.create({
    ...{ model: 'tiny-pairs', input_file_id: other.id, documents: pairs },
  });
  // It stays so: no worker takes its chunk.
  for await (const { status } of batches.watch(live.id)) if (status === 'in_progress') break;
  const fileIds = [file.id, other.id, ...(output === null ? [] : [output])];
  const now = Date.now();
  return [
    {
      path: '/v1/jobs/',
      ids: [queued.id, canceled.id, succeeded.id],
      unknown: () => newJobId(now),
    },
    { path: '/v1/files/', ids: fileIds, unknown: () => newFileId(now) },
    { path: '/v1/batches/', ids: [completed.id, live.id], unknown: () => newBatchId(now) },
  ];
}

/** What the owner sees; the text of it says whether anything has changed. */
async function look(apiUrl: string, { headers }: Tenant, resources: Resource[]) {
  const asked = resources.flatMap(({ path, ids }) => ids.map((id) => `${path}${id}`));
  const seen: { status: number; state: string }[] = [];
  for (const path of asked) {
    const response = await fetch(`${apiUrl}${path}`, { headers });
    const state = /"status":"\w+"/.exec(await response.text())?.[0] ?? '';
    seen.push({ status: response.status, state });
  }
  const found = seen.filter(({ status }) => status === 200).length;
  return { asked: asked.length, found, text: JSON.stringify({ asked: asked.length, found, seen }) };
}

interface Comparison {
  apiUrl: string;
  stranger: Tenant;
  resources: Resource[];
  count: { requests: number; notFound: number; wrong: number; different: number };
}

async function compareAll(options: Comparison & { operation: Operation }): Promise<void> {
  const { apiUrl, stranger, resources, operation, count } = options;
  const { method, path } = operation;
  const resource = resources.find((each) => path.startsWith(each.path));
  if (resource === undefined) throw new Error(`the owner has nothing for ${method} ${path}`);
  const queries = ['', ...(QUERIES[`${method} ${path}`] ?? [])];
  for (const id of resource.ids) {
    for (const query of queries) {
      const ask = (one: string) =>
        answerTo(`${apiUrl}${path.replace(/\{\w+\}/, one)}${query}`, { method }, stranger);
      for (const unknown of [resource.unknown(), 'no-id', '__proto__']) {
        note(count, await ask(id), await ask(unknown));
      }
    }
  }
}

/** An id in a body is answered as one in a path. */
async function compareInputs({ apiUrl, stranger, resources, count }: Comparison): Promise<void> {
  const files = resources.find(({ path }) => path === '/v1/files/');
  const headers = { 'content-type': 'application/json' };
  for (const id of files?.ids ?? []) {
    for (const rest of [{ documents: { format: 'text' }, model: 'tiny-classifier' }, ENDPOINT]) {
      const ask = (input_file_id: string) => {
        const body = JSON.stringify({ input_file_id, ...rest });
        return answerTo(`${apiUrl}/v1/batches`, { method: 'POST', headers, body }, stranger);
      };
      note(count, await ask(id), await ask(files?.unknown() ?? ''));
    }
  }
}

const ENDPOINT = { endpoint: '/v1/jobs' };

interface Answer {
  status: number;
  /** Status, headers and body. */
  text: string;
}

async function answerTo(url: string, init: RequestInit, { headers }: Tenant): Promise<Answer> {
  const own = { ...headers, 'x-request-id': REQUEST_ID };
  const response = await fetch(url, { ...init, headers: { ...init.headers, ...own } });
  const shown = [...response.headers].filter(([name]) => !OF_THE_CONNECTION.has(name));
  const body = await response.text();
  return { status: response.status, text: JSON.stringify([response.status, shown, body]) };
}

function note(count: Comparison['count'], foreign: Answer, unknown: Answer): void {
  count.requests += 1;
  if (foreign.status === 404) count.notFound += 1;
  else count.wrong += 1;
  if (foreign.text !== unknown.text) count.different += 1;
}

/** @returns how much the lists of a tenant that has nothing show */
async function listed(apiUrl: string, { headers }: Tenant): Promise<number> {
  let shown = 0;
  for (const path of ['/v1/jobs', '/v1/files', '/v1/batches']) {
    const page: unknown = await (await fetch(`${apiUrl}${path}`, { headers })).json();
    shown += z.object({ data: z.array(z.unknown()) }).parse(page).data.length;
  }
  return shown;
}
