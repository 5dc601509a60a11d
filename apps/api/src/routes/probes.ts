import { AppError } from '@headrace/shared/errors.ts';
import { z } from '@hono/zod-openapi';
import type { AppDeps } from '../app.ts';
import { answer, answerJson } from '../middleware/answer.ts';
import { type ApiApp, addRoute, json } from './add-route.ts';

const TAGS = ['Operation'];

export function addProbeRoutes(app: ApiApp, deps: AppDeps): void {
  addRoute(
    app,
    {
      method: 'get',
      path: '/health',
      access: 'open',
      summary: 'The process lives',
      tags: TAGS,
      answers: { 200: json('It does.', z.object({ status: z.literal('ok') })) },
      errors: [],
    },
    (c) => answerJson(c, { status: 'ok' }),
  );
  addRoute(
    app,
    {
      method: 'get',
      path: '/ready',
      access: 'open',
      summary: 'A request would be served',
      tags: TAGS,
      answers: { 200: json('It would.', z.object({ status: z.literal('ready') })) },
      errors: ['not_ready'],
    },
    async (c) => {
      const missing = await missingParts(deps);
      if (missing.length === 0) return answerJson(c, { status: 'ready' });
      const message = `Not ready: ${missing.join(', ')}.`;
      const failure = new AppError('not_ready', { message, retryAfterS: 1 });
      return deps.renderError(c, failure, { missing });
    },
  );
  addRoute(
    app,
    {
      method: 'get',
      path: '/metrics',
      access: deps.metricsOpen ? 'open' : 'admin',
      summary: 'Metrics for Prometheus',
      tags: TAGS,
      answers: {
        200: {
          description: 'The text format of Prometheus.',
          content: { 'text/plain': { schema: z.string() } },
        },
      },
      errors: [],
    },
    async (c) => {
      refreshGauges(deps);
      const { registry } = deps.metrics;
      const headers = { 'content-type': registry.contentType };
      return answer(c, await registry.metrics(), { headers });
    },
  );
}

/** What a request would lack: `stopping`, `redis`, `model` or `worker`. */
async function missingParts(deps: AppDeps): Promise<string[]> {
  const missing = deps.stopping() ? ['stopping'] : [];
  if (!(await answers(deps))) missing.push('redis');
  if (!deps.readyNeedsWorker) return missing;
  const model = deps.models.find(deps.defaultModel);
  if (!model) missing.push('model');
  else if (deps.workers.readyWorkers(model.ref) === 0) missing.push('worker');
  return missing;
}

async function answers({ redis }: AppDeps): Promise<boolean> {
  try {
    await redis.ping();
    return true;
  } catch {
    return false;
  }
}

/** The gauges of the queues come from the views, which ticks keep fresh: a scrape costs nothing. */
function refreshGauges({ metrics, models, backlogs, workers, admission }: AppDeps): void {
  const { gauges } = metrics;
  for (const { queue, bulkQueue, ref } of models.all) {
    for (const each of [queue, bulkQueue]) {
      for (const [state, count] of Object.entries(backlogs.of(each).jobs)) {
        gauges.queue_jobs.set({ queue: each, state }, count);
      }
    }
    const { rows, tokens } = backlogs.of(queue);
    gauges.queue_oldest_age_seconds.set({ queue }, backlogs.oldestAgeS(queue));
    gauges.backlog_rows.set({ queue }, rows);
    gauges.backlog_tokens.set({ queue }, tokens);
    gauges.workers_ready.set({ model: ref }, workers.readyWorkers(ref));
  }
  gauges.redis_memory_ratio.set(admission.memoryRatio());
}
