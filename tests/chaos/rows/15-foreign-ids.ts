import { z } from 'zod';
import { startBulkSystem } from '../../helpers/bulk-system.ts';
import { answer, type Receiver, startReceiver } from '../../helpers/receiver.ts';
import { type Operation, readApiDocument } from '../harness/api-document.ts';
import { deliveriesOnce } from '../harness/deliveries.ts';
import { createCallbacks, createResources, GONE_PATH, type Resource } from '../harness/owned.ts';
import { type ChaosRow, judge } from '../harness/row.ts';
import { ADMIN_KEY, createTenant, type Tenant } from '../harness/tenants.ts';

/** How the same operation may be asked for otherwise. */
const QUERIES: Record<string, string[]> = {
  'GET /v1/jobs/{id}': ['?wait=0', '?wait=1'],
  'GET /v1/batches/{id}/results': ['?limit=1', '?kind=errors'],
};
/** Lists that an id narrows down, by the resource that it is of. */
const FILTERS: Record<string, string[]> = {
  '/v1/jobs/': ['/v1/jobs?after=', '/v1/webhooks/deliveries?job='],
  '/v1/files/': ['/v1/files?after='],
  '/v1/batches/': ['/v1/batches?after=', '/v1/jobs?batch=', '/v1/webhooks/deliveries?batch='],
  '/v1/webhooks/deliveries/': ['/v1/webhooks/deliveries?after='],
};
/** The same, of those that are sent once more. */
const REDELIVERY_FILTERS: Record<string, string> = {
  ...{ '/v1/jobs/': 'job', '/v1/batches/': 'batch', '/v1/webhooks/deliveries/': 'after' },
};
const LISTS = [
  ...['/v1/jobs', '/v1/files', '/v1/batches', '/v1/webhooks/deliveries'],
  ...['/v1/webhooks/endpoints', '/v1/webhooks/secrets'],
];
const REDELIVER = '/v1/webhooks/deliveries/redeliver';
const ALL = { status: ['pending', 'delivered', 'failed', 'disabled'], limit: 1_000 };
/** What of an answer says whether its resource has changed. */
const STATE = /"(id|status|attempt_count|disabled_at|next_attempt_at|settled_at)":[^,}]*/g;
/** Both answers of a comparison are asked for with it. */
const REQUEST_ID = 'foreign-or-unknown';
const OF_THE_CONNECTION = new Set(['date', 'connection', 'keep-alive']);
const JSON_TYPE = { 'content-type': 'application/json' };

export const foreignIds: ChaosRow = {
  row: 15,
  title: "every route × another tenant's id",
  goal: '404 always, same body and header set as an unknown id',
  plainBullmq: '–',
  headline: ['operations', 'requests', 'answers_other_than_404', 'answers_that_differ'],
  async run({ say }) {
    await using undo = new AsyncDisposableStack();
    const receiver = await startReceiver();
    undo.defer(() => receiver.stop());
    const system = await startBulkSystem({
      HEADRACE_ADMIN_KEY: ADMIN_KEY,
      HEADRACE_WEBHOOK_ALLOW: '127.0.0.1',
      HEADRACE_WEBHOOK_PORTS: String(receiver.port),
      HEADRACE_WEBHOOK_SCHEDULE_S: '0,1,3600',
      HEADRACE_WEBHOOK_DISABLE_AFTER_S: '1',
    });
    undo.defer(() => system.stop());
    const { apiUrl } = system;
    const owner = await createTenant(apiUrl, 'owner');
    const stranger = await createTenant(apiUrl, 'stranger');
    return await compare({ apiUrl, owner, stranger, receiver, say });
  },
};

interface Tenants {
  apiUrl: string;
  owner: Tenant;
  stranger: Tenant;
  receiver: Receiver;
  say(text: string): void;
}

async function compare({ apiUrl, owner, stranger, receiver, say }: Tenants) {
  const callbacks = await createCallbacks({ apiUrl, owner, receiver });
  const resources = [...(await createResources(owner)), ...callbacks];
  const before = await look(apiUrl, owner, resources);
  const document = await (await fetch(`${apiUrl}/openapi.json`)).json();
  // Keys and tenants are everybody's that has the scope admin, models everybody's.
  const operations = readApiDocument(document).operations.filter(
    ({ path, scope }) => path.includes('{') && scope !== null && scope !== 'admin',
  );
  const count = { requests: 0, notFound: 0, wrong: 0, different: 0, shown: 0 };
  const sentBefore = receiver.all().length;
  for (const operation of operations) {
    await compareAll({ apiUrl, stranger, resources, operation, count });
    say(`${operation.method} ${operation.path}`);
  }
  await compareInputs({ apiUrl, stranger, resources, count });
  await compareLists({ apiUrl, stranger, resources, count });
  await compareRedeliveries({ apiUrl, stranger, resources, count });
  const unchanged = (await look(apiUrl, owner, resources)).text === before.text;
  const sent = receiver.all().length - sentBefore;
  const apart = await isApart({ owner, stranger, receiver });
  const ids = (path: string) => resources.find((each) => each.path === path)?.ids.length ?? 0;
  return {
    figures: {
      operations: operations.length,
      ids: resources.reduce((sum, each) => sum + each.ids.length, 0),
      deliveries: ids('/v1/webhooks/deliveries/'),
      endpoints: ids('/v1/webhooks/endpoints/'),
      requests: count.requests,
      answers_404: count.notFound,
      answers_other_than_404: count.wrong,
      answers_that_differ: count.different,
      listed_to_the_stranger: count.shown,
      callbacks_sent_by_the_stranger: sent,
    },
    ...judge({
      'there is something to ask for': operations.length >= 17 && before.found === before.asked,
      'every answer is 404': count.wrong === 0,
      'a foreign id is answered like an unknown one': count.different === 0,
      'no list shows what is foreign': count.shown === 0,
      'nothing foreign is sent': sent === 0,
      'what was asked for is as it was': unchanged,
      'an endpoint of one is not disabled to the other': apart,
    }),
  };
}

/** What the owner sees; the text of it says whether anything has changed. */
async function look(apiUrl: string, { headers }: Tenant, resources: Resource[]) {
  const single = resources
    .filter(({ readable }) => readable)
    .flatMap(({ path, ids }) => ids.map((id) => `${path}${id}`));
  const asked = [...single, ...LISTS];
  const seen: { status: number; state: string[] }[] = [];
  for (const path of asked) {
    const response = await fetch(`${apiUrl}${path}`, { headers });
    seen.push({ status: response.status, state: (await response.text()).match(STATE) ?? [] });
  }
  const found = seen.filter(({ status, state }) => status === 200 && state.length > 0).length;
  return { asked: asked.length, found, text: JSON.stringify(seen) };
}

interface Count {
  requests: number;
  notFound: number;
  wrong: number;
  different: number;
  /** What lists have shown. */
  shown: number;
}

interface Comparison {
  apiUrl: string;
  stranger: Tenant;
  resources: Resource[];
  count: Count;
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
  for (const id of files?.ids ?? []) {
    for (const rest of [{ documents: { format: 'text' }, model: 'tiny-classifier' }, ENDPOINT]) {
      const ask = (input_file_id: string) => {
        const body = JSON.stringify({ input_file_id, ...rest });
        return answerTo(
          `${apiUrl}/v1/batches`,
          { method: 'POST', headers: JSON_TYPE, body },
          stranger,
        );
      };
      note(count, await ask(id), await ask(files?.unknown() ?? ''));
    }
  }
}

const ENDPOINT = { endpoint: '/v1/jobs' };

/** A list that is asked for with a foreign id is empty, as one with an unknown id. */
async function compareLists({ apiUrl, stranger, resources, count }: Comparison): Promise<void> {
  const ask = async (list: string, id: string) =>
    withoutId(await answerTo(`${apiUrl}${list}${id}`, {}, stranger), id);
  for (const path of LISTS) count.shown += shownIn(await ask(path, ''));
  for (const { path, ids, unknown } of resources) {
    for (const list of FILTERS[path] ?? []) {
      for (const id of ids) noteEmpty(count, await ask(list, id), await ask(list, unknown()));
    }
  }
}

/** Whatever is asked for, nothing of another tenant's is sent once more. */
async function compareRedeliveries(options: Comparison): Promise<void> {
  const { apiUrl, stranger, resources, count } = options;
  const ask = async (filter: object, id: string) => {
    const body = JSON.stringify({ ...ALL, ...filter });
    const init = { method: 'POST', headers: JSON_TYPE, body };
    return withoutId(await answerTo(`${apiUrl}${REDELIVER}`, init, stranger), id);
  };
  count.shown += shownIn(await ask({}, ''));
  for (const { path, ids, unknown } of resources) {
    const name = REDELIVERY_FILTERS[path];
    const askOne = (id: string) => ask({ [`${name}`]: id }, id);
    for (const id of name === undefined ? [] : ids) {
      noteEmpty(count, await askOne(id), await askOne(unknown()));
    }
  }
}

/** A page says where the next one begins: at the id that was given, where it has nothing. */
function withoutId(answer: Answer, id: string): Answer {
  return id === '' ? answer : { ...answer, text: answer.text.replaceAll(id, '') };
}

/** The owner's own redelivery is sent; and the stranger may call where the owner's is disabled. */
async function isApart({ owner, stranger, receiver }: Omit<Tenants, 'apiUrl' | 'say'>) {
  const delivered = await owner.client.webhooks.deliveries({ status: 'delivered', limit: 1 });
  const [first] = delivered.data;
  if (first === undefined) return false;
  const more = receiver.untilMore(1);
  await owner.client.webhooks.redeliver(first.id);
  await more;
  receiver.on(GONE_PATH, answer(204));
  await stranger.client.webhooks.test(receiver.url(GONE_PATH));
  const told = await deliveriesOnce(stranger.client, ({ status }) => status !== 'pending');
  const isDisabled = (await owner.client.webhooks.endpoints()).some(
    ({ url }) => url === receiver.url(GONE_PATH),
  );
  return isDisabled && told.length === 1 && told[0]?.status === 'delivered';
}

interface Answer {
  status: number;
  body: string;
  /** Status, headers and body. */
  text: string;
}

async function answerTo(url: string, init: RequestInit, { headers }: Tenant): Promise<Answer> {
  const own = { ...headers, 'x-request-id': REQUEST_ID };
  const response = await fetch(url, { ...init, headers: { ...init.headers, ...own } });
  const shown = [...response.headers].filter(([name]) => !OF_THE_CONNECTION.has(name));
  const body = await response.text();
  return { status: response.status, body, text: JSON.stringify([response.status, shown, body]) };
}

function note(count: Count, foreign: Answer, unknown: Answer): void {
  count.requests += 1;
  if (foreign.status === 404) count.notFound += 1;
  else count.wrong += 1;
  if (foreign.text !== unknown.text) count.different += 1;
}

function noteEmpty(count: Count, foreign: Answer, unknown: Answer): void {
  count.requests += 1;
  count.shown += shownIn(foreign);
  if (foreign.text !== unknown.text) count.different += 1;
}

/** How much an answer with a list shows, or one to a redelivery says was sent. */
function shownIn({ body }: Answer): number {
  const { data, redelivered } = Shown.parse(JSON.parse(body));
  return data.length + redelivered;
}

const Shown = z.object({
  data: z.array(z.unknown()).default([]),
  redelivered: z.number().default(0),
});
