import { z } from 'zod';
import type { BoundTask } from '../tasks/index.ts';
import { answerNames, type Column } from './table.ts';

const DOCUMENT_FORMATS = ['jsonl', 'csv', 'tsv', 'parquet', 'text'] as const;
export const OUTPUT_FORMATS = ['jsonl', 'csv', 'parquet'] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];
const COMPRESSIONS = ['auto', 'none', 'gzip', 'zstd'] as const;

const Field = z.string().min(1).max(256);

/** How the rows of an input are read. */
export const DocumentsSchema = z
  .strictObject({
    format: z.enum(DOCUMENT_FORMATS),
    text: Field.default('text').describe('The column, or the field of each object, to score.'),
    text_pair: Field.nullable().default(null).describe('The second text of a pair.'),
    id: Field.nullable().default(null).describe('Carried over into the results.'),
    compression: z.enum(COMPRESSIONS).default('auto').describe('auto: by the first bytes.'),
  })
  .meta({ id: 'BatchDocuments' });
export type Documents = z.infer<typeof DocumentsSchema>;

export const DocumentOutputSchema = z
  .strictObject({
    format: z.enum(OUTPUT_FORMATS).default('jsonl'),
    join: z.boolean().default(false).describe("The input's columns beside the answer."),
  })
  .meta({ id: 'BatchOutput' });
export type DocumentOutput = z.infer<typeof DocumentOutputSchema>;

/** The column of plain texts, where they need a name. */
export const TEXT_COLUMN = 'text';

interface TableOptions {
  documents: Documents;
  output: DocumentOutput;
  /** Of the input. */
  columns: Column[];
  answer: Column[];
}

/** The columns of the output of a batch of documents, in their order. */
export interface ResultTable {
  columns: Column[];
  /** Those of the input that come first; empty unless they are joined. */
  input: Column[];
  /** Where a row without them has its place: `line`, and `id` if there is one. */
  place: string[];
  /** Names of the answer's columns, in the order of the task's. */
  answer: string[];
  truncated: string;
  error: string;
}

/** What a batch of documents writes for each row, whichever format it is written in. */
export function resultTable({ documents, output, columns, answer }: TableOptions): ResultTable {
  const input = output.join ? columns : [];
  const place = output.join ? [] : ['line', ...(documents.id === null ? [] : ['id'])];
  const own: Column[] = [
    ...answer,
    { name: 'truncated', type: 'boolean' },
    { name: 'error', type: 'string' },
  ];
  const names = answerNames(own, input);
  return {
    columns: [
      ...input,
      ...place.map((name): Column => ({ name, type: name === 'line' ? 'int64' : 'string' })),
      ...own.map(({ type }, i): Column => ({ name: names[i] ?? '', type })),
    ],
    ...{ input, place, answer: names.slice(0, answer.length) },
    truncated: names.at(-2) ?? 'truncated',
    error: names.at(-1) ?? 'error',
  };
}

/** The columns of one task's answers. */
export function answerColumns(task: BoundTask, parameters: Record<string, unknown>): Column[] {
  return task.columns(task.parse(parameters));
}
