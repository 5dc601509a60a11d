import { once } from 'node:events';
import type { Writable } from 'node:stream';
import type { Explanation } from '../failure.ts';
import { createProgressReport, type ErrorStream, type ProgressReport } from './progress-report.ts';

export interface TerminalOptions {
  stdout: Writable;
  stderr: ErrorStream;
  json: boolean;
  quiet: boolean;
}

/** Results go to the standard output, everything else to the standard error. */
export interface Terminal {
  readonly json: boolean;
  readonly stdout: Writable;
  readonly progress: ProgressReport;
  /** A result: as text for people, or as one line of JSON. */
  result(value: unknown, text: (() => string) | string): Promise<void>;
  /** A list: lines of text, or a line of JSON for each. */
  list(values: readonly unknown[], text: () => string): Promise<void>;
  /** Text of a result, at the pace of whoever reads it. */
  print(text: string): Promise<void>;
  /** What is worth knowing; not if it shall be quiet. */
  say(text: string): void;
  /** What has to be known. */
  warn(text: string): void;
  fail(explanation: Explanation): void;
}

export function createTerminal({ stdout, stderr, json, quiet }: TerminalOptions): Terminal {
  const progress = createProgressReport({ stream: stderr, quiet });
  const warn = (text: string) => {
    progress.clear();
    stderr.write(`${printable(text)}\n`);
  };
  const print = async (text: string) => {
    progress.clear();
    if (!stdout.write(text)) await once(stdout, 'drain');
  };
  return {
    ...{ json, stdout, progress, warn, print },
    result: (value, text) => {
      if (json) return print(`${JSON.stringify(value)}\n`);
      return print(typeof text === 'string' ? text : text());
    },
    list: (values, text) => {
      return print(json ? values.map((value) => `${JSON.stringify(value)}\n`).join('') : text());
    },
    say: (text) => {
      if (!quiet) warn(text);
    },
    fail: ({ exitCode: _, ...error }) => {
      if (json) warn(JSON.stringify({ error }));
      else warn(`headrace: ${error.message}${error.hint === null ? '' : `\n${error.hint}`}`);
    },
  };
}

/** A message may repeat the name of a column or of a file: no control characters but newlines. */
function printable(text: string): string {
  return text.replace(/[^\P{Cc}\n]/gu, ' ');
}
