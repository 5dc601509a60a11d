import assert from 'node:assert/strict';
import { renameSync, symlinkSync, unlinkSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Client, createClient } from '@headrace/client';
import { type BulkSystem, startBulkSystem } from '../helpers/bulk-system.ts';
import { filledIn, GPU_SERIES, readDashboards } from '../helpers/dashboards.ts';
import { readExposition, type Sample } from '../helpers/exposition.ts';
import { problemsOf, readRules, recordedSeries } from '../helpers/prometheus-rules.ts';
import { readPromql, type Selector, selects } from '../helpers/promql.ts';
import { answer, type Receiver, startReceiver } from '../helpers/receiver.ts';

const ADMIN_KEY = 'an-admin-key-of-more-than-32-characters';
/** Stands wherever a caller may put a text or a name. */
const WORD = 'zugunruhe';
const MODELS = ['tiny-classifier@1', 'tiny-poison@1'];
const DEADLINE_MS = 30_000;

/** What no process of ours has: Prometheus adds it, or only a machine with a GPU has it. */
const ELSEWHERE = ['up', 'ALERTS', ...GPU_SERIES];
/** Which routes are asked for, and how they are answered, is known of a request alone. */
const BORN_LATER = ['headrace_http_request_seconds_count'];

const rules = readRules();
const alerts = rules.flatMap((rule) => ('alert' in rule ? [rule.expr] : []));
const targets = readDashboards().flatMap(({ panels }) => panels.flatMap(({ targets }) => targets));
/** All queries that our processes answer by themselves. */
const queries = [
  ...rules.map(({ expr }) => expr),
  ...targets.map(({ expr }) => filledIn(expr)),
].filter((expr) => !readPromql(expr).selectors.some(({ metric }) => ELSEWHERE.includes(metric)));
const recorded = new Map(
  rules.flatMap((rule) => ('record' in rule ? [[rule.record, rule.expr]] : [])),
);

let receiver: Receiver;
let system: BulkSystem;
let fresh: Sample[];
let used: Sample[];
before(async () => {
  receiver = await startReceiver();
  receiver.on(`/${WORD}/broken`, answer(500));
  receiver.on(`/${WORD}/gone`, answer(410));
  system = await startBulkSystem({
    HEADRACE_ADMIN_KEY: ADMIN_KEY,
    HEADRACE_MODELS: 'tiny-classifier,tiny-poison',
    HEADRACE_WEBHOOK_ALLOW: '127.0.0.1',
    HEADRACE_WEBHOOK_PORTS: String(receiver.port),
    HEADRACE_WEBHOOK_SCHEDULE_S: '0,0',
  });
  fresh = await scrape();
  const admin = createClient({ baseUrl: system.apiUrl, apiKey: ADMIN_KEY });
  const scopes = ['jobs', 'batches'] as const;
  const { secret } = await admin.keys.create({ name: WORD, tenant: WORD, scopes: [...scopes] });
  const client = createClient({ baseUrl: system.apiUrl, apiKey: secret });
  await beRefused();
  await runJobs(client);
  used = await runBatches(client);
});
after(async () => {
  await system?.stop();
  await receiver?.stop();
});

/** Of all three processes. */
async function scrape(): Promise<Sample[]> {
  const ports = [system.api.port, system.worker.ready.port, system.dispatcher.ready.port];
  const texts = ports.map(async (port) => {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`);
    assert.equal(response.status, 200);
    return readExposition(await response.text());
  });
  return (await Promise.all(texts)).flat();
}

async function untilScraped(fits: (samples: Sample[]) => boolean): Promise<void> {
  const deadline = Date.now() + DEADLINE_MS;
  for (;;) {
    const samples = await scrape();
    if (fits(samples)) return;
    assert.ok(Date.now() < deadline, 'the metrics do not get there');
    await sleep(25);
  }
}

async function beRefused(): Promise<void> {
  const authorization = `Bearer ${ADMIN_KEY}`;
  const headers = { authorization, 'content-type': 'application/json', 'x-request-id': WORD };
  const body = JSON.stringify({ model: WORD, input: WORD, [WORD]: WORD });
  const wrong: [string, RequestInit][] = [
    [`/v1/jobs?${WORD}=${WORD}`, { method: 'POST', headers, body }],
    [`/v1/jobs/${WORD}`, { headers }],
    [`/${WORD}`, { headers }],
    ['/v1/jobs', { headers: { authorization: `Bearer hr_${WORD}` } }],
  ];
  for (const [path, request] of wrong) {
    const { status } = await fetch(`${system.apiUrl}${path}`, request);
    assert.ok(status >= 400 && status < 500, path);
  }
}

async function runJobs({ jobs }: Client): Promise<void> {
  const webhook = (path: string) => ({ url: receiver.url(`/${WORD}/${path}`) });
  const metadata = { [WORD]: WORD };
  const model = 'tiny-poison';
  const submitted = [
    await jobs.submit({
      input: [WORD, `${WORD} `.repeat(300)],
      metadata,
      webhook: webhook('well'),
    }),
    await jobs.submit({ model, input: `nan ${WORD}`, metadata, webhook: webhook('broken') }),
    await jobs.submit({ model, input: `crash ${WORD}`, metadata, webhook: webhook('gone') }),
  ];
  for (const { id } of submitted) await jobs.wait(id);
  const settled = (samples: Sample[]) => sumOf(samples, 'headrace_webhook_deliveries_total');
  await untilScraped((samples) => settled(samples) === submitted.length);
}

/**
 * One is finished; one waits for storage that is gone, for which an upload is refused.
 * @returns the metrics meanwhile
 */
async function runBatches({ files, batches }: Client): Promise<Sample[]> {
  const content = new Blob([`${WORD}\n${WORD}`]);
  const file = await files.upload({ content, filename: WORD, purpose: 'user_data' });
  const request = {
    ...{ model: 'tiny-classifier', input_file_id: file.id, metadata: { [WORD]: WORD } },
    documents: { format: 'text' },
  } as const;
  const { id } = await batches.create(request);
  for await (const batch of batches.watch(id)) assert.notEqual(batch.status, 'failed');
  const aside = `${system.folder}-aside`;
  renameSync(system.folder, aside);
  symlinkSync(system.folder, system.folder);
  try {
    await batches.create(request);
    assert.equal(await uploadOnce(content), 503);
    const waits = readPromql('headrace_batches{waiting_for!=""}').selectors;
    await untilScraped((samples) => waits.every((selector) => isSelected(selector, samples)));
    return await scrape();
  } finally {
    unlinkSync(system.folder);
    renameSync(aside, system.folder);
  }
}

/** The client would try again. @returns the status of the answer */
async function uploadOnce(content: Blob): Promise<number> {
  const body = new FormData();
  body.append('purpose', 'user_data');
  body.append('file', content, WORD);
  const headers = { authorization: `Bearer ${ADMIN_KEY}` };
  return (await fetch(`${system.apiUrl}/v1/files`, { method: 'POST', headers, body })).status;
}

function sumOf(samples: readonly Sample[], metric: string): number {
  return samples.reduce((sum, { name, value }) => sum + (name === metric ? value : 0), 0);
}

/** Whether a series is there; one that a rule records is, when all are that the rule selects. */
function isSelected({ metric, matchers }: Omit<Selector, 'ranged'>, samples: Sample[]): boolean {
  const expr = recorded.get(metric);
  if (expr === undefined) {
    return samples.some(({ name, labels }) => name === metric && selects(matchers, labels));
  }
  const { selectors, made } = readPromql(expr);
  const kept = matchers.filter(({ label }) => !made.includes(label));
  return selectors.every((source) =>
    isSelected({ metric: source.metric, matchers: [...source.matchers, ...kept] }, samples),
  );
}

/** Counters whose increase an alert looks at, by itself or through rules that record it. */
function watchedBy(expr: string): string[] {
  return readPromql(expr).selectors.flatMap(({ metric, ranged }) => {
    const source = recorded.get(metric);
    if (source !== undefined) return watchedBy(source);
    return ranged ? [metric] : [];
  });
}

function keyOf({ name, labels }: Sample): string {
  return `${name} ${JSON.stringify([...labels].toSorted())}`;
}

describe('counters whose increase an alert looks at', () => {
  const watched = [...new Set(alerts.flatMap(watchedBy))].filter(
    (name) => !BORN_LATER.includes(name),
  );
  const of = (samples: Sample[]) => samples.filter(({ name }) => watched.includes(name));

  test('are there before anything happens, and 0', () => {
    assert.ok(watched.includes('headrace_jobs_stalled_total') && watched.length > 5);
    for (const name of watched)
      assert.ok(
        fresh.some((sample) => sample.name === name),
        name,
      );
    assert.deepEqual(
      of(fresh).filter(({ value }) => value !== 0),
      [],
    );
  });

  test('are there for every queue, model and priority', () => {
    const priorities = ['high', 'normal', 'low'];
    const queues = [
      ...MODELS.flatMap((model) => [`infer.${model}`, `bulk.${model}`]),
      ...['plan', 'assemble', 'webhooks'],
    ];
    const known = [
      ...queues.map((queue) => `headrace_jobs_stalled_total{queue="${queue}"}`),
      ...MODELS.map((model) => `headrace_rows_total{model="${model}"}`),
      ...MODELS.flatMap((model) =>
        priorities.map(
          (priority) => `headrace_job_wait_seconds_count{model="${model}",priority="${priority}"}`,
        ),
      ),
    ];
    const selectors = known.flatMap((text) => readPromql(text).selectors);
    assert.deepEqual(
      selectors.filter((selector) => !isSelected(selector, fresh)),
      [],
    );
  });

  test('are not born by what they count', () => {
    const before = new Set(fresh.map(keyOf));
    assert.deepEqual(
      of(used)
        .map(keyOf)
        .filter((key) => !before.has(key)),
      [],
    );
    const grown = ['rows', 'rows_failed', 'webhook_attempts', 'webhook_deliveries'];
    for (const name of grown) assert.ok(sumOf(used, `headrace_${name}_total`) > 0, name);
  });
});

test('each process says that it is connected to Redis', () => {
  const connected = fresh.filter(({ name }) => name === 'headrace_redis_connected');
  assert.deepEqual(
    connected.map(({ value }) => value),
    [1, 1, 1],
  );
});

describe('what rules, alerts and panels name', () => {
  test('is exposed with these labels', () => {
    const exposed = new Map<string, string[]>();
    for (const { name, labels } of used) {
      exposed.set(name, [...(exposed.get(name) ?? []), ...labels.keys()]);
    }
    const series = new Map([...exposed, ...recordedSeries(rules)]);
    assert.ok(queries.length > 80);
    assert.deepEqual(
      queries.flatMap((expr) => problemsOf(expr, series)),
      [],
    );
  });

  test('is there with the values by which it is selected', () => {
    const selectors = queries.flatMap((expr) => readPromql(expr).selectors);
    assert.deepEqual(
      selectors.filter((selector) => !isSelected(selector, used)),
      [],
    );
  });
});

test('no label holds a text, an id, a key, a tenant or an address', () => {
  const values = [...new Set(used.flatMap(({ labels }) => [...labels.values()]))];
  const forbidden = new RegExp(`${WORD}|${ADMIN_KEY}|127\\.0\\.0\\.1|[0-9a-zA-Z]{20}`);
  assert.ok(values.includes('/v1/jobs/:id'));
  assert.deepEqual(
    values.filter((value) => forbidden.test(value)),
    [],
  );
});
