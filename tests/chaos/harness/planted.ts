import { createClient } from '@headrace/client';
import { FileSchema } from '@headrace/shared/files.ts';
import { z } from 'zod';
import { endOfBatch } from './batch-end.ts';

/** Texts that hold a word, and what a log or a terminal may take for something else. */
function formsOf(word: string): string[] {
  return [
    word,
    `${word}\r\n{"level":"fatal","event":"forged","word":"${word}"}`,
    `\u001b[31m${word}\u001b[0m\u009b2J`,
    `${word}\u2028${word}\u2029${word}\u0085${word}`,
    `${word}\u0000\ud800\u202e%s %o ${word}`,
  ];
}

export interface Planted {
  jobs: string[];
  /** Uploads, and what batches came to. */
  files: string[];
  /** Wrong requests, and how many of them were refused. */
  wrong: number;
  refused: number;
}

interface Planting {
  /** Of the API. */
  url: string;
  word: string;
  /** URLs that are called back. */
  receivers: string[];
}

/** Puts a word wherever a caller may put text: right requests, wrong ones, and files. */
export async function plant({ url, word, receivers }: Planting): Promise<Planted> {
  const late = await plantLate({ url, word, receivers });
  const jobs = await plantJobs({ url, word, receivers });
  const refusals = await plantRefused(url, word);
  await plantBatches({ url, word, receivers });
  const page = await (await fetch(`${url}/v1/files`)).json();
  const { data } = z.object({ data: z.array(FileSchema) }).parse(page);
  return { jobs: [...jobs, ...late], files: data.map(({ id }) => id), ...refusals };
}

/** Jobs that no worker takes before their time is over, and that nobody asks for. */
async function plantLate({ url, word, receivers }: Planting): Promise<string[]> {
  const { jobs } = createClient({ baseUrl: url });
  const webhook = inTurn(receivers);
  const late = formsOf(word).map((text) => {
    const request = { model: 'tiny-pairs', input: { text, text_pair: text }, ttl_s: 1 };
    return jobs.submit({ ...request, metadata: { text }, webhook: webhook() });
  });
  return (await Promise.all(late)).map(({ id }) => id);
}

/** @returns what gives each of the URLs in turn */
function inTurn(urls: string[]): () => { url: string } {
  let turn = 0;
  return () => ({ url: urls[turn++ % urls.length] ?? '' });
}

/** @returns jobs that have finished in every way */
export async function plantJobs({ url, word, receivers }: Planting): Promise<string[]> {
  const { jobs } = createClient({ baseUrl: url });
  const webhook = inTurn(receivers);
  const plantForm = async (form: string) => {
    const more = () => ({ metadata: { [form.slice(0, 64)]: form }, webhook: webhook() });
    const fine = await jobs.submit({ input: [form, `the cat ${form}`], ...more() });
    // Words that make these models give no number, or kill the engine.
    const nan = await jobs.submit({ model: 'tiny-nan', input: `nan ${form}`, ...more() });
    const deadly = await jobs.submit({ model: 'tiny-crasher', input: `crash ${form}`, ...more() });
    // No worker serves it.
    const pair = { text: form, text_pair: form };
    const canceled = await jobs.submit({ model: 'tiny-pairs', input: pair, ...more() });
    await jobs.cancel(canceled.id);
    await post(`${url}/predict`, { text: form });
    await post(`${url}/v1/embeddings`, { model: 'tiny-embedder', input: form, user: form });
    for (const { id } of [fine, nan, deadly]) await jobs.wait(id);
    return [fine, nan, deadly, canceled].map(({ id }) => id);
  };
  return (await Promise.all(formsOf(word).map(plantForm))).flat();
}

async function plantBatches({ url, word, receivers }: Planting): Promise<void> {
  const webhook = inTurn(receivers);
  const metadata = { note: word };
  const client = createClient({ baseUrl: url });
  const { files, batches } = client;
  const forms = formsOf(word);
  const line = (custom_id: string, body: object) =>
    JSON.stringify({ custom_id, method: 'POST', url: '/v1/jobs', body });
  const requests = [
    ...forms.map((form, i) => line(`${i} ${form}`, { input: form, metadata: { a: form } })),
    ...forms.map((form, i) => line(`wrong ${i} ${form}`, { input: '', [form]: form })),
    ...[word, `{"${word}`, line(word, { model: word, input: word })],
  ];
  const table = ['id,"the text"', ...forms.map((form, i) => `${i},"${form.replace(/"/g, '""')}"`)];
  const name = formsOf(word).join(' ');
  const upload = (lines: string[], purpose: 'batch' | 'user_data') =>
    files.upload({ content: new Blob([lines.join('\n')]), filename: name, purpose });
  const input = await upload(requests, 'batch');
  const other = await upload(table, 'user_data');
  const documents = { format: 'csv', text: 'the text' } as const;
  const created = [
    await batches.create({
      input_file_id: input.id,
      endpoint: '/v1/jobs',
      ...{ metadata, webhook: webhook() },
    }),
    await batches.create({
      ...{ model: 'tiny-classifier', input_file_id: other.id, documents },
      ...{ metadata, webhook: webhook() },
    }),
    // Fails as a whole: there is no such column.
    await batches.create({
      ...{ model: 'tiny-classifier', input_file_id: other.id },
      documents: { ...documents, text: 'elsewhere' },
      ...{ metadata, webhook: webhook() },
    }),
  ];
  for (const { id } of created) await endOfBatch(client, id);
}

/** Test events, and each callback so far once more, by its URL. */
export async function plantRedeliveries(url: string, receivers: string[]): Promise<void> {
  const { webhooks } = createClient({ baseUrl: url });
  const status = ['pending', 'delivered', 'failed', 'disabled'];
  for (const receiver of receivers) {
    await webhooks.test(receiver);
    await post(`${url}/v1/webhooks/deliveries/redeliver`, { status, url: receiver, limit: 1_000 });
  }
}

async function plantRefused(url: string, word: string) {
  const visible = { authorization: `Bearer ${word}`, prefer: `wait=${word}`, cookie: word };
  const bodies: [string, unknown][] = formsOf(word).flatMap((form): [string, unknown][] => [
    ['/v1/jobs', { input: form, [form]: form }],
    ['/v1/jobs', { input: form, model: form.slice(0, 100) }],
    ['/v1/jobs', { input: form, parameters: { [form]: form } }],
    ['/v1/jobs', { input: { text: form, text_pair: form } }],
    ['/v1/jobs', { input: form, priority: form }],
    ['/v1/jobs', { input: form.repeat(1 + 100_000 / word.length) }],
    ['/v1/jobs', form],
    ['/predict', { text: [form] }],
    ['/v1/embeddings', { input: form, model: form.slice(0, 100) }],
    ['/v1/batches', { input_file_id: form, endpoint: '/v1/jobs' }],
    ['/v1/batches', { input_url: form, endpoint: '/v1/jobs' }],
    ['/v1/jobs', { input: form, webhook: { url: form } }],
    ['/v1/jobs', { input: form, webhook: { url: `http://${word}.internal/${word}` } }],
    ['/v1/jobs', { input: form, webhook: { url: `http://127.0.0.2/${word}?${word}` } }],
    ['/v1/jobs', { input: form, webhook: { url: 'http://a.example/', events: [form] } }],
    ['/v1/batches', { input_file_id: form, endpoint: '/v1/jobs', webhook: { url: form } }],
    ['/v1/webhooks/test', { url: form }],
    ['/v1/webhooks/secrets', { overlap_s: form }],
    ['/v1/webhooks/deliveries/redeliver', { status: [form], job: form, [form]: form }],
    ['/v1/keys', { name: form, scopes: [form], tenant: form }],
  ]);
  const path = encodeURIComponent(formsOf(word).at(3) ?? word);
  const paths = [
    ...[`/v1/jobs/${path}`, `/v1/jobs?status=${path}`, `/v1/files/${path}`, `/${path}`],
    ...[`/v1/webhooks/deliveries/${path}`, `/v1/webhooks/deliveries?job=${path}`],
  ];
  const statuses = [
    ...(await Promise.all(bodies.map(([to, body]) => post(`${url}${to}`, body)))),
    await post(`${url}/v1/jobs`, { input: word }, visible),
    await post(`${url}/v1/jobs`, { input: '' }, { 'idempotency-key': word }),
    ...(await Promise.all(paths.map(async (each) => (await fetch(`${url}${each}`)).status))),
  ];
  const refused = statuses.filter((status) => status >= 400 && status < 500).length;
  return { wrong: statuses.length, refused };
}

/** @returns the status of the answer */
async function post(url: string, body: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  });
  await response.text();
  return response.status;
}
