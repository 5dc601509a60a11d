import { z } from 'zod';

/** The standard variables of OpenTelemetry, as far as Headrace reads them itself. */
export const tracingEnv = {
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' })
    .optional()
    .describe(
      'Where traces are sent, by OTLP over HTTP, such as http://127.0.0.1:4318. Unset: no tracing. ' +
        'OTEL_EXPORTER_OTLP_HEADERS and _TIMEOUT are heeded, too.',
    ),
  OTEL_SERVICE_NAME: z
    .string()
    .max(128)
    .optional()
    .describe('Name in traces; unset: headrace-api, headrace-worker or headrace-dispatcher.'),
  OTEL_TRACES_SAMPLER: z
    .enum(['parentbased_traceidratio', 'traceidratio'])
    .default('parentbased_traceidratio')
    .describe(
      'parentbased_… does as the caller of a request says, and decides for those that say nothing; ' +
        'traceidratio does not let callers decide.',
    ),
  OTEL_TRACES_SAMPLER_ARG: z
    .string()
    .regex(/^(0(\.\d{1,9})?|1(\.0+)?)$/, 'must be a share from 0 to 1, such as 0.01')
    .transform(Number)
    .default(1)
    .describe(
      'Share of traces that are kept, the same everywhere; each span takes time and memory.',
    ),
  OTEL_BSP_SCHEDULE_DELAY: z
    .string()
    .regex(/^\d{2,5}$/, 'must be milliseconds from 10 to 99999')
    .transform(Number)
    .default(1_000)
    .describe('Milliseconds between two requests with spans; up to 4,096 spans wait for the next.'),
};

export type TracingConfig = z.infer<z.ZodObject<typeof tracingEnv>>;
