import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { formatTraceparent } from '@headrace/shared/tracing/tracing.ts';
import { type Stack, startStack } from '../chaos/harness/stack.ts';
import {
  type OtlpReceiver,
  type ReceivedSpan,
  startOtlpReceiver,
} from '../helpers/otlp-receiver.ts';
import { type Receiver, startReceiver } from '../helpers/receiver.ts';

const MODEL = 'tiny-classifier';
const CANARY = 'zebra';
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const CALLER = { traceId: TRACE_ID, spanId: 'b7ad6b7169203331', sampled: true };

let collector: OtlpReceiver;
let receiver: Receiver;
let stack: Stack;
before(async () => {
  collector = await startOtlpReceiver();
  receiver = await startReceiver();
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    // Whoever names no trace gets none.
    OTEL_TRACES_SAMPLER_ARG: '0',
    OTEL_BSP_SCHEDULE_DELAY: '20',
    HEADRACE_WEBHOOK_ALLOW: '127.0.0.1',
    HEADRACE_WEBHOOK_PORTS: String(receiver.port),
  };
  stack = await startStack({ models: [MODEL], dispatchers: 1, env });
});
after(async () => {
  await stack[Symbol.asyncDispose]();
  await receiver.stop();
  await collector[Symbol.asyncDispose]();
});

async function post(path: string, body: unknown, caller = CALLER): Promise<{ id: string }> {
  const response = await fetch(`${stack.api.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', traceparent: formatTraceparent(caller) },
    body: JSON.stringify(body),
  });
  assert.ok(response.ok, await response.clone().text());
  return (await response.json()) as { id: string };
}

const named = (name: string, id: string) => (span: ReceivedSpan) =>
  span.name === name && Object.values(span.attributes).includes(id);
const has = (...wanted: ((span: ReceivedSpan) => boolean)[]) =>
  collector.until((spans) => wanted.every((fits) => spans.some(fits)));
const the = (name: string, id: string) => {
  const found = collector.spans.filter(named(name, id));
  assert.equal(found.length, 1, `${found.length} spans ${name}`);
  return found[0] as ReceivedSpan;
};
const childOf = ({ spanId, traceId }: ReceivedSpan, name: string) =>
  collector.spans.find(
    (span) => span.parentSpanId === spanId && span.traceId === traceId && span.name === name,
  );

describe('a traced job', () => {
  test("is one trace from the caller's span to the webhook's receiver", async () => {
    const webhook = { url: receiver.url('/traced') };
    const { id } = await post('/v1/jobs', { input: `the ${CANARY} cat`, webhook });
    const [received] = await receiver.until('/traced', 1);
    await has(named('webhook', id), named('job', id), named('submit', id));
    const submit = the('submit', id);
    const job = the('job', id);
    const webhookSpan = the('webhook', id);
    const request = collector.spans.find(({ spanId }) => spanId === submit.parentSpanId);
    assert.equal(request?.name, 'POST /v1/jobs');
    assert.equal(request?.parentSpanId, CALLER.spanId);
    assert.equal(job.parentSpanId, submit.spanId);
    assert.equal(webhookSpan.parentSpanId, job.spanId);
    assert.deepEqual(
      [request, submit, job, webhookSpan].map(({ service = '' } = {} as ReceivedSpan) => service),
      ['headrace-api', 'headrace-api', 'headrace-worker', 'headrace-dispatcher'],
    );
    for (const { traceId } of [submit, job, webhookSpan]) assert.equal(traceId, TRACE_ID);
    for (const stage of ['tokenize', 'batch', 'infer', 'result']) {
      assert.ok(childOf(job, stage), `no span ${stage}`);
    }
    assert.ok(childOf(submit, 'queue'));
    assert.equal(
      received?.headers.traceparent,
      formatTraceparent({ traceId: TRACE_ID, spanId: webhookSpan.spanId, sampled: true }),
    );
  });

  test('is linked from its tensor batch, which is linked from it', async () => {
    const input = Array.from({ length: 3 }, () => `the ${CANARY} dog`);
    const { id } = await post('/v1/jobs', { input });
    await has(named('job', id));
    const job = the('job', id);
    const infer = childOf(job, 'infer');
    const batchIds = infer?.links.map(({ spanId }) => spanId) ?? [];
    assert.ok(batchIds.length > 0);
    await collector.until((spans) => batchIds.every((id) => spans.some((s) => s.spanId === id)));
    for (const batch of collector.spans.filter(({ spanId }) => batchIds.includes(spanId))) {
      assert.equal(batch.name, 'tensor batch');
      assert.equal(batch.parentSpanId, '');
      assert.notEqual(batch.traceId, TRACE_ID);
      const linked = batch.links.map(({ traceId, spanId }) => ({ traceId, spanId }));
      assert.deepEqual(linked, [{ traceId: TRACE_ID, spanId: job.spanId }]);
      assert.equal(batch.attributes['headrace.model'], `${MODEL}@1`);
    }
  });

  test('says why it failed', async () => {
    const { id } = await post('/v1/jobs', {
      input: `the ${CANARY} `.repeat(400),
      parameters: { overflow: 'error' },
    });
    await has(named('job', id));
    assert.equal(the('job', id).attributes['error.type'], 'text_too_long');
  });

  test('is not followed when its caller does not keep its trace, and jobs of others neither', async () => {
    const quiet = await post('/v1/jobs', { input: 'the cat' }, { ...CALLER, sampled: false });
    const own = await stack.client.submit({ input: 'the cat' });
    for (const id of [quiet.id, own]) await stack.client.untilFinished(id);
    const { id: last } = await post('/v1/jobs', { input: 'the cat' });
    await has(named('job', last));
    const seen = collector.spans.flatMap(({ attributes }) => attributes['headrace.job.id'] ?? []);
    assert.ok(!seen.includes(quiet.id) && !seen.includes(own));
  });
});

test('stages and chunks of a batch are traces that link the request', async () => {
  const form = new FormData();
  form.set('purpose', 'user_data');
  form.set('file', new Blob([`the ${CANARY} cat\nthe dog\n`]), 'rows');
  const upload = await fetch(`${stack.api.url}/v1/files`, { method: 'POST', body: form });
  const file = (await upload.json()) as { id: string };
  const webhook = { url: receiver.url('/batch') };
  const documents = { format: 'text' };
  const request = { model: MODEL, input_file_id: file.id, documents, webhook };
  const { id } = await post('/v1/batches', request);
  await receiver.until('/batch', 1);
  const stages = ['batch plan', 'batch chunk', 'batch assemble'];
  await has(...stages.map((stage) => named(stage, id)), named('webhook', id));
  const creating = collector.spans.find(({ name }) => name === 'POST /v1/batches');
  const { traceId = '', spanId = '' } = creating ?? {};
  for (const stage of stages) {
    const span = collector.spans.find(named(stage, id));
    assert.deepEqual(span?.links, [{ traceId, spanId }]);
    assert.equal(span?.parentSpanId, '');
  }
  assert.equal(the('webhook', id).parentSpanId, spanId);
});

test('no span holds anything of a text', () => {
  assert.ok(collector.spans.length > 0);
  assert.ok(!collector.text().includes(CANARY));
});

test('a receiver that is away loses spans and nothing else, and is told of once', async () => {
  // Nobody listens on port 1.
  const OTEL_EXPORTER_OTLP_ENDPOINT = 'http://127.0.0.1:1';
  const api = await stack.startApi({ OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_TRACES_SAMPLER_ARG: '1' });
  const response = await fetch(`${api.url}/predict`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ text: 'the cat' }),
  });
  assert.equal(response.status, 200);
  const { code } = await api.stop();
  assert.equal(code, 0);
  assert.ok(api.logs.filter(({ event }) => event === 'traces.lost').length <= 1);
});
