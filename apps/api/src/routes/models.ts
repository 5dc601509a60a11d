import type { Backlog } from '@headrace/shared/job-store.ts';
import { type Manifest, modelRef } from '@headrace/shared/manifests.ts';
import type { ServedModel } from '@headrace/shared/model-catalogue.ts';
import { TASK_NAMES } from '@headrace/shared/tasks/index.ts';
import { z } from '@hono/zod-openapi';
import type { AppDeps } from '../app.ts';
import { answerJson } from '../middleware/answer.ts';
import { expectNoQuery } from '../middleware/query.ts';
import { type ApiApp, addRoute, json } from './add-route.ts';
import { createGoldenRows, GoldenRows } from './model-golden.ts';

const Variant = z.object({
  name: z.string(),
  precision: z.string(),
  digest: z.string(),
  bytes: z.int(),
  tolerance: z.number().describe('The largest difference to a golden output that is accepted.'),
});

const Version = z
  .object({
    version: z.string(),
    digest: z.string().describe("SHA-256 of the default variant's file."),
    default_variant: z.string(),
    variants: z.array(Variant),
    ready_workers: z.int(),
    backlog: z.object({
      jobs: z.int(),
      rows: z.number(),
      tokens: z.number(),
      chunks: z.int().describe('Of batches, as far as they were handed out.'),
    }),
    drain_s: z
      .number()
      .nullable()
      .describe('How long the ready workers need for the backlog; null while none has a speed.'),
  })
  .meta({ id: 'ModelVersion' });

const ModelSchema = Version.extend({
  id: z.string(),
  object: z.literal('model'),
  created: z.int().describe('Always 0: a manifest has no date.'),
  owned_by: z.string(),
  description: z.string(),
  licence: z.string(),
  task: z.enum(TASK_NAMES as [string, ...string[]]),
  labels: z.array(z.string()).nullable(),
  multi_label: z.boolean().nullable(),
  dimensions: z.int().nullable(),
  max_tokens: z.int(),
  pairs: z.boolean().describe('Takes {"text","text_pair"}.'),
  default: z.boolean().describe('Used by requests that name no model.'),
  versions: z.array(Version).describe('Newest first.'),
}).meta({ id: 'Model' });
type Model = z.infer<typeof ModelSchema>;

const ModelDetails = ModelSchema.extend({
  card: z
    .string()
    .nullable()
    .describe('Markdown: README.md of the folder, its first 64 KiB; null when there is none.'),
  golden: GoldenRows,
}).meta({ id: 'ModelDetails' });

export function addModelRoutes(app: ApiApp, deps: AppDeps): void {
  const goldenRows = createGoldenRows();
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/models',
      access: 'any',
      summary: 'List the models',
      tags: ['Models'],
      answers: {
        200: json(
          'All models.',
          z
            .object({ object: z.literal('list'), data: z.array(ModelSchema) })
            .meta({ id: 'ModelList' }),
        ),
      },
      errors: ['invalid_request'],
    },
    (c) => {
      expectNoQuery(c);
      const data = deps.models.latest.map((model) => describe(deps, model, model.manifest.name));
      return answerJson(c, { object: 'list', data });
    },
  );
  addRoute(
    app,
    {
      method: 'get',
      path: '/v1/models/{name}',
      access: 'any',
      summary: 'Get a model',
      tags: ['Models'],
      request: {
        params: z.object({ name: z.string().describe('name, or name@version') }),
      },
      answers: { 200: json('The model.', ModelDetails) },
      errors: ['invalid_request', 'model_not_found'],
    },
    (c) => {
      expectNoQuery(c);
      const name = c.req.param('name') ?? '';
      const model = deps.models.resolve(name);
      const card = deps.cards.get(model.ref) ?? null;
      return answerJson(c, { ...describe(deps, model, name), card, golden: goldenRows(model) });
    },
  );
}

function describe(deps: AppDeps, model: ServedModel, id: string): Model {
  const { manifest } = model;
  const { name } = manifest;
  return {
    id,
    object: 'model',
    created: 0,
    owned_by: 'headrace',
    description: manifest.description,
    licence: manifest.licence,
    task: manifest.task,
    ...taskFacts(manifest),
    max_tokens: manifest.max_tokens,
    pairs: manifest.pairs,
    default: isDefault(deps, model),
    ...describeVersion(deps, model),
    versions: deps.models.versions(name).map((version) => describeVersion(deps, version)),
  };
}

function taskFacts(manifest: Manifest): Pick<Model, 'labels' | 'multi_label' | 'dimensions'> {
  return manifest.task === 'embeddings'
    ? { labels: null, multi_label: null, dimensions: manifest.dimensions }
    : { labels: manifest.labels, multi_label: manifest.multi_label, dimensions: null };
}

function isDefault({ models, defaultModel }: AppDeps, model: ServedModel): boolean {
  const { manifest } = model;
  if (defaultModel === modelRef(manifest)) return true;
  return defaultModel === manifest.name && models.versions(manifest.name)[0] === model;
}

function describeVersion(deps: AppDeps, model: ServedModel): z.infer<typeof Version> {
  const { version, variants, default_variant } = model.manifest;
  const { jobs, rows, tokens } = deps.backlogs.of(model.queue);
  const chunks = total(deps.backlogs.of(model.bulkQueue));
  const drainS = deps.backlogs.drainSeconds(model);
  return {
    version,
    digest: digestOf(variants[default_variant]?.sha256),
    default_variant,
    variants: Object.entries(variants).map(([name, { precision, sha256, bytes, tolerance }]) => ({
      name,
      precision,
      digest: digestOf(sha256),
      bytes,
      tolerance,
    })),
    ready_workers: deps.workers.readyWorkers(model.ref),
    backlog: { jobs: total({ jobs }), rows, tokens, chunks },
    drain_s: drainS === null ? null : Math.round(drainS * 10) / 10,
  };
}

function total({ jobs }: Pick<Backlog, 'jobs'>): number {
  return jobs.queued + jobs.delayed + jobs.running;
}

function digestOf(sha256: string | undefined): string {
  return `sha256:${sha256 ?? ''}`;
}
