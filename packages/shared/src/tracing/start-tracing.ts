import type { Logger } from '../logger.ts';
import type { Tracing } from './tracing.ts';
import type { TracingConfig } from './tracing-env.ts';

/**
 * Tracing as it is configured; undefined while it is off, and then nothing of OpenTelemetry is
 * loaded.
 * @param service `api`, `worker` or `dispatcher`
 */
export async function startTracing(
  config: TracingConfig,
  { service, log }: { service: string; log: Logger },
): Promise<Tracing | undefined> {
  const endpoint = config.OTEL_EXPORTER_OTLP_ENDPOINT;
  if (endpoint === undefined) return undefined;
  const { createOtlpTracing } = await import('./otlp-tracing.ts');
  return createOtlpTracing({
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    service: config.OTEL_SERVICE_NAME ?? `headrace-${service}`,
    sampler: config.OTEL_TRACES_SAMPLER,
    ratio: config.OTEL_TRACES_SAMPLER_ARG,
    everyMs: config.OTEL_BSP_SCHEDULE_DELAY,
    log,
  });
}
