import type { Logger } from '@headrace/shared/logger.ts';
import type { Metrics } from '@headrace/shared/metrics.ts';
import type { ModelCatalogue } from '@headrace/shared/model-catalogue.ts';
import type { Tracing } from '@headrace/shared/tracing/tracing.ts';
import { OpenAPIHono } from '@hono/zod-openapi';
import type { Redis } from 'ioredis';
import type { Admission } from './admission.ts';
import type { BacklogView } from './backlog-view.ts';
import type { Batches } from './batches.ts';
import { addCompatRoutes } from './compat/index.ts';
import type { ReadConsole } from './console/console.ts';
import type { OpenUpload } from './file-uploads.ts';
import type { Files } from './files.ts';
import type { FinishedHub } from './finished-hub.ts';
import type { ListJobs } from './job-list.ts';
import type { Jobs } from './jobs.ts';
import type { Keyring } from './keyring.ts';
import type { Keys } from './keys.ts';
import type { ApiEnv } from './middleware/api-env.ts';
import { authenticate } from './middleware/authenticate.ts';
import { createErrorRenderer, type RenderError } from './middleware/errors.ts';
import { createNotFound } from './middleware/not-found.ts';
import { requestScope } from './middleware/request-scope.ts';
import { traceRequests } from './middleware/trace-requests.ts';
import type { ModelCards } from './model-cards.ts';
import type { Overview } from './overview/overview.ts';
import type { ApiApp } from './routes/add-route.ts';
import { addBatchRoutes } from './routes/batches.ts';
import { addConsoleRoutes } from './routes/console.ts';
import { addDocRoutes } from './routes/docs.ts';
import { addFileRoutes } from './routes/files.ts';
import { addJobEventRoutes } from './routes/job-events.ts';
import { addJobRoutes } from './routes/jobs.ts';
import { addKeyRoutes } from './routes/keys.ts';
import { addModelRoutes } from './routes/models.ts';
import { addOverviewRoutes } from './routes/overview.ts';
import { addPredictRoute } from './routes/predict.ts';
import { addProbeRoutes } from './routes/probes.ts';
import { addScalingRoute } from './routes/scaling.ts';
import { addTenantRoutes } from './routes/tenants.ts';
import { addWebhookRoutes } from './routes/webhooks.ts';
import type { ReadScaling } from './scaling.ts';
import type { StreamSlots } from './stream-slots.ts';
import type { Webhooks } from './webhooks.ts';
import type { WorkersView } from './workers-view.ts';

export interface HttpLimits {
  maxBodyBytes: number;
  /** Most `"name": value` pairs of a body. */
  maxFields: number;
  maxRows: number;
  maxWaitS: number;
  predictTimeoutS: number;
}

export interface AppOptions {
  jobs: Jobs;
  list: ListJobs;
  files: Files;
  openUpload: OpenUpload;
  batches: Batches;
  webhooks: Webhooks;
  hub: FinishedHub;
  streams: StreamSlots;
  overview: Overview;
  keyring: Keyring;
  keys: Keys;
  models: ModelCatalogue;
  cards: ModelCards;
  workers: WorkersView;
  backlogs: BacklogView;
  readScaling: ReadScaling;
  admission: Admission;
  redis: Redis;
  metrics: Metrics;
  tracing?: Tracing | undefined;
  log: Logger;
  limits: HttpLimits;
  defaultModel: string;
  readyNeedsWorker: boolean;
  /** Whether whoever reaches the port may read `/metrics`. */
  metricsOpen: boolean;
  stopping: () => boolean;
  /** Absent where the console is off. */
  readConsole?: ReadConsole | undefined;
}

/** What routes are given. */
export interface AppDeps extends AppOptions {
  renderError: RenderError;
}

/** The HTTP application without a port. */
export function createApp(options: AppOptions): ApiApp {
  const renderError = createErrorRenderer(options);
  const deps: AppDeps = { ...options, renderError };
  const app = new OpenAPIHono<ApiEnv>();
  if (options.tracing !== undefined) app.use('*', traceRequests(options.tracing));
  app.use('*', requestScope(deps));
  app.use('*', authenticate(deps));
  addJobRoutes(app, deps);
  addJobEventRoutes(app, deps);
  addPredictRoute(app, deps);
  addFileRoutes(app, deps);
  addBatchRoutes(app, deps);
  addWebhookRoutes(app, deps);
  addCompatRoutes(app, deps);
  addModelRoutes(app, deps);
  addScalingRoute(app, deps);
  addKeyRoutes(app, deps);
  addTenantRoutes(app, deps);
  addOverviewRoutes(app, deps);
  addProbeRoutes(app, deps);
  addDocRoutes(app);
  if (options.readConsole !== undefined) addConsoleRoutes(app, options.readConsole);
  app.notFound(createNotFound(() => app.routes, renderError));
  app.onError((error, c) => renderError(c, error));
  return app;
}
