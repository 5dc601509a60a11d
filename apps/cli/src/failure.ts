import { ConnectionError, HeadraceError } from '@headrace/client';
import { EXIT, type ExitCode } from './exit-codes.ts';

interface FailureDetails {
  exitCode?: ExitCode;
  /** What to do about it. */
  hint?: string;
}

/** Ends the command with a message for people and an exit code for scripts. */
export class Failure extends Error {
  readonly exitCode: ExitCode;
  readonly hint: string | null;

  constructor(message: string, { exitCode = EXIT.failed, hint }: FailureDetails = {}) {
    super(message);
    this.exitCode = exitCode;
    this.hint = hint ?? null;
  }
}

/** What was asked for makes no sense. */
export function usage(message: string, hint?: string): Failure {
  return new Failure(message, { exitCode: EXIT.usage, ...(hint === undefined ? {} : { hint }) });
}

export interface Explanation {
  exitCode: ExitCode;
  message: string;
  hint: string | null;
  /** Of the API's catalogue, where the API has said it. */
  code: string | null;
  param: string | null;
}

/** What went wrong and what to do about it. @returns null for what is a defect of ours */
export function explain(error: unknown): Explanation | null {
  if (error instanceof Failure) {
    return { ...NOTHING, exitCode: error.exitCode, message: error.message, hint: error.hint };
  }
  if (error instanceof ConnectionError) {
    const { message, neverSent } = error;
    return { ...NOTHING, exitCode: EXIT.unreachable, message, hint: neverSent ? AWAY : null };
  }
  if (error instanceof HeadraceError) {
    const { code, message, param, status, requestId } = error;
    const exitCode = status === 400 || code === 'model_not_found' ? EXIT.usage : EXIT.failed;
    const request = requestId === null ? null : `In the server's log this is request ${requestId}.`;
    return {
      exitCode,
      message,
      code,
      param,
      hint: HINTS[code] ?? (status >= 500 ? request : null),
    };
  }
  if (error instanceof Error && 'syscall' in error) {
    return { ...NOTHING, exitCode: EXIT.failed, message: error.message };
  }
  return null;
}

const NOTHING = { hint: null, code: null, param: null };

const AWAY =
  'Is it running? `npm start` starts one; --url or HEADRACE_URL says where another one is; ' +
  '--local runs the command on one of its own.';

const HINTS: Record<string, string> = {
  unauthorized: 'Set HEADRACE_API_KEY to a key of this server.',
  forbidden: 'Use a key that has the scope, or have an admin create one: `headrace keys create`.',
  model_not_found: '`headrace models` lists the models.',
  body_too_large:
    'Compress the file (.gz, .zst), cut it in two, or raise HEADRACE_MAX_FILE_BYTES of the API.',
  overloaded: 'Try again when the backlog is shorter; `headrace models` shows it.',
  storage_nearly_full: 'Try again when the queue is shorter; `headrace models` shows it.',
  storage_unavailable: 'The server has no room or no connection to its storage; try again later.',
  batch_not_running: '`headrace results ID -o FILE` fetches what it came to.',
  batch_not_finished: 'Wait for it (`headrace wait ID`) or cancel it (`headrace cancel ID`) first.',
  missing_column: 'Name the column that holds the texts with --text.',
  invalid_csv: 'Repair the line, or give the real format with --format.',
  invalid_parquet: 'Give the real format with --format, if it is no Parquet.',
  invalid_compression: 'The file is damaged or not complete: pack it once more.',
};

/** What to do about a batch that failed as a whole. */
export function hintFor(code: string): string | null {
  return HINTS[code] ?? null;
}
