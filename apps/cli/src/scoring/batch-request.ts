import type { BatchRequest } from '@headrace/client';
import { usage } from '../failure.ts';
import { inputFormat, outputFormat } from './file-format.ts';

type Documents = NonNullable<BatchRequest['documents']>;

/** The options of `score`, as they are given. */
export interface ScoreOptions {
  model?: string;
  endpoint?: '/v1/jobs' | '/v1/embeddings';
  text?: string;
  textPair?: string;
  id?: string;
  format?: Documents['format'];
  outputFormat?: NonNullable<NonNullable<BatchRequest['output']>['format']>;
  join?: boolean;
  param?: Record<string, unknown>;
  priority?: 'high' | 'normal' | 'low';
  window?: string;
  webhook?: string;
  dryRun?: boolean;
}

export type NewBatch = Omit<BatchRequest, 'input_file_id'>;

/**
 * The batch that is asked for, but for its input.
 * @throws Failure when the options contradict one another
 */
export function batchRequest(input: string, output: string, options: ScoreOptions): NewBatch {
  const { priority, window, webhook, dryRun } = options;
  const common = {
    ...(priority === undefined ? {} : { priority }),
    ...(window === undefined ? {} : { completion_window: window }),
    ...(webhook === undefined ? {} : { webhook: { url: webhook } }),
    ...(dryRun === true ? { dry_run: true } : {}),
  };
  const { endpoint } = options;
  if (endpoint === undefined) return { ...common, ...documentsOf(input, output, options) };
  refuseDocumentOptions(options);
  const written = outputFormat({ path: output, given: undefined });
  if (written !== 'jsonl') throw usage(`${output}: with --endpoint the output is .jsonl`);
  return { ...common, endpoint };
}

const DOCUMENT_OPTIONS = {
  model: '--model',
  text: '--text',
  textPair: '--text-pair',
  id: '--id',
  format: '--format',
  outputFormat: '--output-format',
  join: '--join',
  param: '--param',
} as const;

function refuseDocumentOptions(options: ScoreOptions): void {
  for (const [name, flag] of Object.entries(DOCUMENT_OPTIONS)) {
    if (Object.hasOwn(options, name)) {
      throw usage(`${flag} is for documents; with --endpoint, each line says it for itself`);
    }
  }
}

function documentsOf(input: string, output: string, options: ScoreOptions): NewBatch {
  const { model, text, textPair, id, join = true, param } = options;
  if (model === undefined) {
    throw usage('--model is missing', 'Such as --model sentiment; `headrace models` lists them.');
  }
  return {
    model,
    documents: {
      format: inputFormat(input, options.format),
      ...(text === undefined ? {} : { text }),
      ...(textPair === undefined ? {} : { text_pair: textPair }),
      ...(id === undefined ? {} : { id }),
    },
    output: { format: outputFormat({ path: output, given: options.outputFormat }), join },
    ...(param === undefined ? {} : { parameters: param }),
  };
}
