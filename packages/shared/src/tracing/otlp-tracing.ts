import {
  type Context,
  type Link,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { createThrottle, type Logger } from '../logger.ts';
import {
  formatTraceparent,
  parseTraceparent,
  type SpanStart,
  type TraceSpan,
  type Tracing,
} from './tracing.ts';

interface OtlpOptions {
  /** Of the receiver of OTLP/HTTP. */
  url: string;
  service: string;
  sampler: 'parentbased_traceidratio' | 'traceidratio';
  ratio: number;
  /** Between two requests. */
  everyMs: number;
  log: Logger;
}

/** Spans that wait to be sent; with more, those that come then are dropped. */
const MAX_QUEUED = 4_096;
const MAX_A_REQUEST = 512;
const SEND_TIMEOUT_MS = 5_000;
const FLUSH_MS = 2_000;
const LOG_AGAIN_MS = 60_000;
/** A tensor batch on a GPU has hundreds of rows, each perhaps of another job. */
const MAX_LINKS = 1_024;
const MAX_VALUE_CHARACTERS = 256;

/** Tracing that sends its spans, in the background, to a receiver of OTLP over HTTP. */
export function createOtlpTracing(options: OtlpOptions): Tracing {
  const { url, service, log } = options;
  const exporter = new OTLPTraceExporter({ url, timeoutMillis: SEND_TIMEOUT_MS });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': service, 'service.version': '0.1.0' }),
    sampler: samplerOf(options),
    spanLimits: { linkCountLimit: MAX_LINKS, attributeValueLengthLimit: MAX_VALUE_CHARACTERS },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: tellingOfFailures(exporter, log),
        maxQueueSize: MAX_QUEUED,
        maxExportBatchSize: MAX_A_REQUEST,
        scheduledDelayMillis: options.everyMs,
        exportTimeoutMillis: SEND_TIMEOUT_MS,
      }),
    ],
  });
  const tracer = provider.getTracer('headrace');
  let stopping: Promise<void> | null = null;
  return {
    start: (span) => new OtlpSpan(tracer, span),
    stop() {
      stopping ??= within(provider.shutdown(), FLUSH_MS);
      return stopping;
    },
  };
}

const KINDS = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
};

class OtlpSpan implements TraceSpan {
  readonly #span: Span;
  readonly traceparent: string;

  constructor(tracer: Tracer, { name, kind, parent, links = [], startMs, attributes }: SpanStart) {
    const options = {
      kind: kind === undefined ? SpanKind.INTERNAL : KINDS[kind],
      links: links.slice(0, MAX_LINKS).flatMap(linkTo),
      ...(attributes && { attributes }),
      ...(startMs !== undefined && { startTime: startMs }),
    };
    this.#span = tracer.startSpan(name, options, contextOf(parent));
    const { traceId, spanId, traceFlags } = this.#span.spanContext();
    const sampled = (traceFlags & TraceFlags.SAMPLED) !== 0;
    this.traceparent = formatTraceparent({ traceId, spanId, sampled });
  }

  rename(name: string): void {
    this.#span.updateName(name);
  }

  set(attributes: Record<string, string | number | boolean>): void {
    this.#span.setAttributes(attributes);
  }

  end({ atMs, error }: { atMs?: number; error?: string | undefined } = {}): void {
    if (error !== undefined) {
      this.#span.setStatus({ code: SpanStatusCode.ERROR, message: error });
      this.#span.setAttribute('error.type', error);
    }
    this.#span.end(atMs);
  }
}

function spanContextOf(traceparent: string): SpanContext | null {
  const parsed = parseTraceparent(traceparent);
  if (parsed === null) return null;
  const { traceId, spanId, sampled } = parsed;
  const traceFlags = sampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
  return { traceId, spanId, traceFlags, isRemote: true };
}

function contextOf(parent: string | undefined): Context {
  const spanContext = parent === undefined ? null : spanContextOf(parent);
  return spanContext === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContext);
}

function linkTo(traceparent: string): Link[] {
  const context = spanContextOf(traceparent);
  return context === null ? [] : [{ context }];
}

/**
 * A span that begins a trace of its own for others, such as a tensor batch for its jobs, is kept
 * when one of those is: with a chance of its own it would be missing from most of them.
 */
function samplerOf({ sampler, ratio }: OtlpOptions): Sampler {
  const byId = new TraceIdRatioBasedSampler(ratio);
  const own = sampler === 'traceidratio' ? byId : new ParentBasedSampler({ root: byId });
  const isSampled = ({ context }: Link) => (context.traceFlags & TraceFlags.SAMPLED) !== 0;
  return {
    shouldSample(...span) {
      const [context, , , , , links] = span;
      if (links.length === 0 || trace.getSpanContext(context) !== undefined) {
        return own.shouldSample(...span);
      }
      const kept = links.some(isSampled);
      return { decision: kept ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.NOT_RECORD };
    },
    toString: () => `headrace(${own})`,
  };
}

/** Spans that cannot be sent are lost, and that is said now and then. */
function tellingOfFailures(exporter: OTLPTraceExporter, log: Logger): SpanExporter {
  const throttle = createThrottle(LOG_AGAIN_MS);
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        if (result.error !== undefined) {
          const { error: err } = result;
          throttle('failed', (swallowed) =>
            log.warn({ event: 'traces.lost', spans: spans.length, err, swallowed }, 'traces lost'),
          );
        }
        done(result);
      });
    },
    forceFlush: () => exporter.forceFlush(),
    shutdown: () => exporter.shutdown(),
  };
}

async function within(work: Promise<unknown>, ms: number): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([work.catch(() => undefined), late]);
  clearTimeout(timer);
}
