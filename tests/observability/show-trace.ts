import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startStack } from '../chaos/harness/stack.ts';
import { type ReceivedSpan, spansOf, TracesData } from '../helpers/otlp-receiver.ts';
import { startReceiver } from '../helpers/receiver.ts';

// Sends one job through a running Headrace and shows its trace as a real collector received it.
const COLLECTOR = process.env.OTELCOL || '.headrace/otelcol/headrace-otelcol';
const PORT = 14_318;
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const DEADLINE_MS = 30_000;

const folder = mkdtempSync(join(tmpdir(), 'headrace-traces-'));
process.on('exit', () => rmSync(folder, { recursive: true }));
const file = join(folder, 'traces.json');
const collector = await startCollector();
try {
  await sendJob();
} finally {
  collector.kill();
  await once(collector, 'exit');
}
const lines = readFileSync(file, 'utf8').trim().split('\n');
const spans = lines.flatMap((line) => spansOf(TracesData.parse(JSON.parse(line))));
const ours = spans.filter(({ traceId }) => traceId === TRACE_ID);
const batches = spans.filter(({ links }) => links.some(({ traceId }) => traceId === TRACE_ID));
const outside = batches.filter(({ traceId }) => traceId !== TRACE_ID);
const first = ours.reduce((a, b) => (a.startTimeUnixNano < b.startTimeUnixNano ? a : b));
for (const span of ours.filter((s) => !ours.some((o) => o.spanId === s.parentSpanId))) {
  show(span, 0);
}
for (const batch of outside) {
  const of = batch.links.map(({ spanId }) => spanId).join();
  console.log(`${describe(batch, 0)}  its own trace, links ${of}`);
}
const wanted = ['submit', 'queue', 'job', 'tokenize', 'batch', 'infer', 'result', 'webhook'];
const missing = wanted.filter((name) => !ours.some((span) => span.name === name));
if (outside.length === 0) missing.push('tensor batch');
console.log(missing.length === 0 ? 'complete' : `MISSING: ${missing.join()}`);
process.exit(missing.length === 0 ? 0 : 1);

async function startCollector(): Promise<ChildProcess> {
  const config = join(folder, 'config.json');
  const pipeline = { receivers: ['otlp'], processors: ['batch'], exporters: ['file'] };
  const settings = {
    receivers: { otlp: { protocols: { http: { endpoint: `127.0.0.1:${PORT}` } } } },
    processors: { batch: { timeout: '100ms' } },
    exporters: { file: { path: file } },
    service: { telemetry: { metrics: { level: 'none' } }, pipelines: { traces: pipeline } },
  };
  writeFileSync(config, JSON.stringify(settings));
  const child = spawn(COLLECTOR, ['--config', config], { stdio: 'ignore' });
  child.on('error', ({ message }) => {
    console.error(`${message}; observability/collector/builder.yaml says how to make it`);
    process.exit(1);
  });
  const deadline = Date.now() + DEADLINE_MS;
  while (!(await listens())) {
    if (Date.now() > deadline) throw new Error('the collector does not listen');
    await sleep(50);
  }
  return child;
}

function listens(): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(PORT, '127.0.0.1', () => {
    socket.destroy();
    resolve(true);
  });
  socket.once('error', () => resolve(false));
  return promise;
}

/** Its services are stopped before this returns, which sends their last spans. */
async function sendJob(): Promise<void> {
  const receiver = await startReceiver();
  {
    const env = {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${PORT}`,
      HEADRACE_WEBHOOK_ALLOW: '127.0.0.1',
      HEADRACE_WEBHOOK_PORTS: String(receiver.port),
    };
    await using stack = await startStack({ models: ['tiny-classifier'], dispatchers: 1, env });
    await stack.client.call('/v1/jobs', {
      method: 'POST',
      headers: { traceparent: `00-${TRACE_ID}-b7ad6b7169203331-01` },
      body: { input: ['the cat', 'the dog'], webhook: { url: receiver.url('/done') } },
    });
    await receiver.until('/done', 1);
  }
  await receiver.stop();
}

function show(span: ReceivedSpan, depth: number): void {
  console.log(describe(span, depth));
  const parts = ours.filter(({ parentSpanId }) => parentSpanId === span.spanId);
  parts.sort((a, b) => Number(a.startTimeUnixNano - b.startTimeUnixNano));
  for (const part of parts) show(part, depth + 1);
}

function describe(span: ReceivedSpan, depth: number): string {
  const ms = (nanoseconds: bigint) => (Number(nanoseconds) / 1e6).toFixed(1).padStart(6);
  const from = ms(span.startTimeUnixNano - first.startTimeUnixNano);
  const took = ms(span.endTimeUnixNano - span.startTimeUnixNano);
  const name = `${'  '.repeat(depth)}${span.name}`.padEnd(20);
  return `${name} ${span.service.padEnd(19)} ${span.spanId}  +${from} ms ${took} ms`;
}
