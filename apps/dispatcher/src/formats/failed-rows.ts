import type { Readable } from 'node:stream';
import { splitLines } from '@headrace/shared/bulk/lines.ts';
import type { StagedRow } from '@headrace/shared/bulk/staged-line.ts';
import type { ErrorCode } from '@headrace/shared/errors.ts';
import { z } from 'zod';

const MAX_LINE_BYTES = 1024 ** 2;

/** Of either kind of error file. */
const ErrorLine = z.object({
  line: z.number(),
  error: z.object({ code: z.string() }).nullable(),
  response: z.object({ body: z.object({ error: z.object({ code: z.string() }) }) }).nullish(),
});

/** What is wrong with the row itself: another run would say the same. */
const REFUSED = new Set<string>([
  'invalid_request',
  'model_not_found',
  'too_many_rows',
  'text_too_long',
  'empty_text',
] satisfies ErrorCode[]);

/** Only those rows that the error file of an earlier batch names, for a reason that may pass. */
export async function* failedRows(
  groups: AsyncIterable<StagedRow[]>,
  errorFile: Readable,
): AsyncGenerator<StagedRow[]> {
  const failed = failedNumbers(errorFile);
  let next = await failed.next();
  try {
    for await (const rows of groups) {
      const kept: StagedRow[] = [];
      for (const row of rows) {
        while (!next.done && next.value < row.number) next = await failed.next();
        if (next.done) break;
        if (next.value === row.number) kept.push(row);
      }
      if (kept.length > 0) yield kept;
      if (next.done) return;
    }
  } finally {
    errorFile.destroy();
  }
}

/** Ascending, since error files are in the order of the input. */
async function* failedNumbers(errorFile: Readable): AsyncGenerator<number> {
  for await (const lines of splitLines(errorFile, { maxLineBytes: MAX_LINE_BYTES })) {
    for (const { bytes } of lines) {
      const { line, error, response } = ErrorLine.parse(
        JSON.parse(Buffer.from(bytes ?? []).toString()),
      );
      const code = error?.code ?? response?.body.error.code ?? '';
      if (!REFUSED.has(code)) yield line;
    }
  }
}
