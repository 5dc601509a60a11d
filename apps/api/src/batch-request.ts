import { BATCH_ENDPOINTS, type Scoring } from '@headrace/shared/bulk/batch.ts';
import { DocumentOutputSchema, DocumentsSchema } from '@headrace/shared/bulk/documents.ts';
import { AppError } from '@headrace/shared/errors.ts';
import type { InputName } from '@headrace/shared/inputs/index.ts';
import { MetadataSchema } from '@headrace/shared/job-request.ts';
import type { ModelCatalogue } from '@headrace/shared/model-catalogue.ts';
import { PRIORITIES } from '@headrace/shared/queues.ts';
import { BatchWebhookSchema } from '@headrace/shared/webhooks/webhook-target.ts';
import { z } from '@hono/zod-openapi';
import { parseParameters } from './submit.ts';

const MIN_EXPIRY_S = 3_600;
const MAX_EXPIRY_S = 365 * 86_400;

/** The body of `POST /v1/batches`: requests for an endpoint, or documents for a model. */
export const BatchRequestSchema = z
  .strictObject({
    input_file_id: z.string().optional().describe('A file of requests, or of documents.'),
    input_url: z
      .string()
      .optional()
      .describe(
        'Instead of a file: s3://bucket/key or file:///path, where the operator allows it.',
      ),
    endpoint: z
      .enum(BATCH_ENDPOINTS)
      .optional()
      .describe('Each line of the file is a request for it. Else give model and documents.'),
    model: z.string().max(128).optional().describe('name or name@version'),
    documents: DocumentsSchema.optional(),
    output: DocumentOutputSchema.optional(),
    parameters: z.record(z.string(), z.unknown()).optional().describe('Depends on the task.'),
    completion_window: z
      .string()
      .default('24h')
      .describe('Hours or days from 1h to 7d; what is late expires.'),
    output_expires_after: z
      .strictObject({
        anchor: z.literal('created_at'),
        seconds: z.int().min(MIN_EXPIRY_S).max(MAX_EXPIRY_S),
      })
      .optional()
      .describe('How long the files of results are kept.'),
    priority: z.enum(PRIORITIES).default('normal'),
    dry_run: z.boolean().default(false).describe('Check, count and estimate; run nothing.'),
    webhook: BatchWebhookSchema.nullable().optional(),
    metadata: MetadataSchema,
  })
  .meta({ id: 'BatchRequest' });
export type BatchRequest = z.infer<typeof BatchRequestSchema>;

/** @throws AppError `invalid_request` unless exactly one input is given */
export function inputName(request: BatchRequest): InputName {
  const { input_file_id: file, input_url: url } = request;
  if (file === undefined && url === undefined) throw invalid('input_file_id', 'is missing');
  if (file === undefined || url === undefined) {
    return { input_file_id: file ?? null, input_url: url ?? null };
  }
  throw invalid('input_url', 'is given beside input_file_id; a batch has one input');
}

const SCORING_FIELDS = ['model', 'documents', 'output', 'parameters'] as const;

/**
 * What is done with plain documents; null when the file holds requests.
 * @throws AppError `invalid_request` or `model_not_found`, with `param`
 */
export function scoringOf(request: BatchRequest, models: ModelCatalogue): Scoring | null {
  const given = SCORING_FIELDS.find((field) => request[field] !== undefined);
  if (request.endpoint !== undefined) {
    if (given === undefined) return null;
    throw invalid(given, 'is for documents; with an endpoint, each line says it for itself');
  }
  if (given === undefined) {
    throw invalid('endpoint', 'is missing; give it for requests, or model and documents');
  }
  if (request.model === undefined) throw invalid('model', 'is missing');
  if (request.documents === undefined) throw invalid('documents', 'is missing');
  const model = models.resolve(request.model);
  const { documents, parameters = {} } = request;
  parseParameters(model, parameters);
  if (documents.text_pair !== null && !model.manifest.pairs) {
    throw invalid('documents.text_pair', `is given, but ${model.ref} takes single texts`);
  }
  const output = DocumentOutputSchema.parse(request.output ?? {});
  return { model: model.ref, documents, output, parameters };
}

function invalid(param: string, problem: string): AppError {
  return new AppError('invalid_request', { message: `${param}: ${problem}`, param });
}
