import { AppError, type ErrorBody, errorBody } from '../errors.ts';
import { prepareRows } from '../job-request.ts';
import type { ServedModel } from '../model-catalogue.ts';
import type { Scoring } from './batch.ts';
import type { BatchLines, BatchRequest, RefusedLine, WrittenLines } from './batch-lines.ts';
import { resultTable, TEXT_COLUMN } from './documents.ts';
import { lineJson, lineText, ROW_LIMITS, refuse } from './line-json.ts';
import type { Line } from './lines.ts';
import { type LineOrigin, type LineResult, NOT_RUN, requestError } from './result-line.ts';
import type { Column } from './table.ts';

interface DocumentLinesOptions {
  scoring: Scoring;
  /** Of the input. */
  columns: Column[];
  resolve: (name: string) => ServedModel;
}

type Row = Record<string, unknown>;

/**
 * Plain documents: every line is an object of columns, or a text. Every row of the input is one of
 * the output, in its place, so that nothing is missing where the two are laid side by side; a row
 * that failed says so there, and why in the file of errors.
 */
export function createDocumentLines(options: DocumentLinesOptions): BatchLines {
  const { documents, output, parameters: given, model: ref } = options.scoring;
  const model = options.resolve(ref);
  const parameters = model.task.parse(given);
  const answer = model.task.columns(parameters);
  const table = resultTable({ documents, output, columns: options.columns, answer });

  function rowOf(line: Line): Row {
    if (documents.format === 'text') return { [TEXT_COLUMN]: lineText(line) };
    const row = lineJson(line);
    if (typeof row === 'object' && row !== null && !Array.isArray(row)) return { ...row };
    throw refuse(null, 'the line is not a JSON object');
  }

  /** The line of the output for a row, answered or not. */
  function outputLine(
    { origin, columns }: Pick<RefusedLine, 'origin' | 'columns'>,
    { cells, truncated, error }: { cells: unknown[]; truncated: boolean; error: string | null },
  ): string {
    const row: Row = {};
    for (const { name } of table.input) row[name] = columns[name] ?? null;
    for (const name of table.place) row[name] = name === 'line' ? origin.line : origin.customId;
    for (const [i, name] of table.answer.entries()) row[name] = cells[i] ?? null;
    row[table.truncated] = truncated;
    row[table.error] = error;
    return `${JSON.stringify(row)}\n`;
  }

  function failed({ origin, error, columns }: RefusedLine): WrittenLines {
    const nothing = { cells: [], truncated: false, error: error.code };
    return {
      output: outputLine({ origin, columns }, nothing),
      errors: documentErrorLine(origin, error),
    };
  }

  return {
    uniqueIds: false,
    failed,

    read(line) {
      const origin: LineOrigin = { line: line.number, customId: null };
      let columns: Row = {};
      try {
        columns = rowOf(line);
        origin.customId = idOf(columns, documents.id);
        const rows = prepareRows(inputOf(columns, documents), model.manifest.pairs, ROW_LIMITS);
        return { origin, model: model.ref, rows, parameters, metadata: {}, columns };
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        const body = errorBody(error.code, error.message, error.param);
        return { origin, error: body, columns };
      }
    },

    succeeded({ origin, columns }: BatchRequest, result: LineResult) {
      const error = requestError(result.output);
      if (error !== null) return failed({ origin, error, columns });
      const [row] = result.output;
      const cells = row === undefined ? [] : model.task.cells(row, parameters);
      const answered = { cells, truncated: row?.truncated ?? false, error: null };
      return { output: outputLine({ origin, columns }, answered), errors: null };
    },

    notRun({ line, customId }, code) {
      const error = { code, message: NOT_RUN[code] };
      return `${JSON.stringify({ line, id: customId, error })}\n`;
    },

    idOf(line) {
      try {
        return idOf(rowOf(line), documents.id);
      } catch (error) {
        if (error instanceof AppError) return null;
        throw error;
      }
    },
  };
}

/** @throws AppError `invalid_request` that names the column */
function inputOf(row: Row, { text, text_pair, format }: Scoring['documents']) {
  if (format === 'text') return { text: textOf(row, TEXT_COLUMN) };
  const first = textOf(row, text);
  return text_pair === null ? { text: first } : { text: first, text_pair: textOf(row, text_pair) };
}

function textOf(row: Row, column: string): string {
  const value = row[column];
  if (typeof value === 'string') return value;
  throw refuse(column, value === undefined || value === null ? 'is missing' : 'is not a text');
}

function idOf(row: Row, column: string | null): string | null {
  const id = column === null ? null : row[column];
  if (id === null || id === undefined) return null;
  return typeof id === 'string' ? id : JSON.stringify(id);
}

/** The line of the error file of a batch of documents. */
function documentErrorLine({ line, customId }: LineOrigin, error: ErrorBody): string {
  return `${JSON.stringify({ line, id: customId, error })}\n`;
}
