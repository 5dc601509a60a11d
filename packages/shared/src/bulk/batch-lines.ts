import type { ErrorBody } from '../errors.ts';
import type { ServedModel } from '../model-catalogue.ts';
import type { RowInput } from '../queues.ts';
import type { TaskParameters } from '../tasks/task.ts';
import type { StoredBatch } from './batch.ts';
import { createDocumentLines } from './document-lines.ts';
import type { Line } from './lines.ts';
import { createRequestLines } from './request-lines.ts';
import type { LineOrigin, LineResult, NotRunCode } from './result-line.ts';

/** What one line asks for. */
export interface BatchRequest {
  origin: LineOrigin;
  /** `name@version` */
  model: string;
  rows: RowInput[];
  parameters: TaskParameters;
  metadata: Record<string, string>;
  /** The input's own columns, where they stand beside the answer. */
  columns: Record<string, unknown>;
}

export interface RefusedLine {
  origin: LineOrigin;
  error: ErrorBody;
  /** As far as they could be read. */
  columns: Record<string, unknown>;
}

/** The lines that go to the two files, each with its newline; null: nothing. */
export interface WrittenLines {
  output: string | null;
  errors: string | null;
}

/** How the lines of a batch are read, and how its results are written. */
export interface BatchLines {
  /** Whether no two lines may have the same id. */
  readonly uniqueIds: boolean;
  /** What is wrong with a line is told without the line's text. */
  read(line: Line): BatchRequest | RefusedLine;
  succeeded(request: BatchRequest, result: LineResult): WrittenLines;
  failed(refused: RefusedLine): WrittenLines;
  /** The line of the error file for a line that was not run. */
  notRun(origin: LineOrigin, code: NotRunCode): string;
  /** Of a line that is not run. */
  idOf(line: Line): string | null;
}

/** @param resolve the model that a line may name; throws AppError for another */
export function createBatchLines(
  batch: StoredBatch,
  resolve: (name: string) => ServedModel,
): BatchLines {
  const { scoring } = batch.definition;
  return scoring === null
    ? createRequestLines({ endpoint: batch.definition.endpoint, resolve })
    : createDocumentLines({ scoring, columns: batch.state.columns, resolve });
}
