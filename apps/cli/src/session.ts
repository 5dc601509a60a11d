import type { Readable, Writable } from 'node:stream';
import { type Client, createClient } from '@headrace/client';
import type { ExitCode } from './exit-codes.ts';
import type { LocalInstance } from './local/instance.ts';
import type { ErrorStream } from './terminal/progress-report.ts';
import { createTerminal, type Terminal } from './terminal/terminal.ts';

/** What a command has of the process that it runs in. */
export interface CliDeps {
  env: Record<string, string | undefined>;
  /** Opened only when it is read. */
  stdin: () => Readable;
  stdout: Writable;
  stderr: ErrorStream;
  /** Aborted by the first Ctrl-C. */
  interrupt: AbortSignal;
  startLocal: (options: {
    signal: AbortSignal;
    say: (text: string) => void;
  }) => Promise<LocalInstance>;
}

/** Options of every command. */
export interface CommonOptions {
  url?: string;
  apiKey?: string;
  local?: boolean;
  json?: boolean;
  quiet?: boolean;
}

/** What a command works with. */
export interface Session {
  client: Client;
  terminal: Terminal;
  interrupt: AbortSignal;
  stdin: () => Readable;
  /** A command for the user to type, which finds the same server. */
  command(words: string): string;
}

export type Act = (session: Session) => Promise<ExitCode>;

const DEFAULT_URL = 'http://127.0.0.1:8000';

export function terminalOf(options: CommonOptions, { stdout, stderr }: CliDeps): Terminal {
  const { json = false, quiet = false } = options;
  return createTerminal({ stdout, stderr, json, quiet });
}

/** Acts on the server that the options name, or on one that lives as long as the act. */
export async function withSession(
  options: CommonOptions,
  deps: CliDeps,
  act: Act,
): Promise<ExitCode> {
  const terminal = terminalOf(options, deps);
  const { env, interrupt, stdin } = deps;
  const common = { terminal, interrupt, stdin };
  const apiKey = options.apiKey ?? (env.HEADRACE_API_KEY || undefined);
  if (options.local === true) {
    const instance = await deps.startLocal({ signal: interrupt, say: terminal.say });
    try {
      const client = createClient({ baseUrl: instance.url, apiKey });
      return await act({ ...common, client, command: (words) => `headrace ${words} --local` });
    } finally {
      await instance.stop();
    }
  }
  const baseUrl = options.url ?? (env.HEADRACE_URL || DEFAULT_URL);
  const client = createClient({ baseUrl, apiKey });
  const target = options.url === undefined ? '' : ` --url ${options.url}`;
  return act({ ...common, client, command: (words) => `headrace ${words}${target}` });
}
