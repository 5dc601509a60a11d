import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../apps/cli/src/main.ts', import.meta.url));

export interface CliProcess {
  child: ChildProcess;
  /** What it has written so far. */
  stdout(): string;
  stderr(): string;
  /** Resolves when it has ended; 143 and the like for one that a signal has ended. */
  exitCode: Promise<number | null>;
  /** The standard error, as soon as it fits; rejects when the process ends before. */
  until(pattern: RegExp): Promise<string>;
}

interface CliOptions {
  cwd: string;
  env: Record<string, string>;
  /** All of its standard input; null: nothing comes, and no end. */
  stdin?: string | null;
}

/** The real CLI in a process of its own; it ends with the test process, however that ends. */
export function startCli(
  args: readonly string[],
  { cwd, env, stdin = '' }: CliOptions,
): CliProcess {
  const { PATH = '', HOME = '', TMPDIR } = process.env;
  const clean = { PATH, HOME, ...(TMPDIR === undefined ? {} : { TMPDIR }), ...env };
  const stdio = ['pipe', 'pipe', 'pipe', 'ipc'] as const;
  const child = spawn(process.execPath, [MAIN, ...args], { cwd, env: clean, stdio: [...stdio] });
  const written = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      written[name] += text;
    });
  }
  // One that ends without reading it is no failure of the test.
  child.stdin?.on('error', () => {});
  if (stdin !== null) child.stdin?.end(stdin);
  const exitCode = once(child, 'close').then(([code]) => code);
  return {
    child,
    exitCode,
    stdout: () => written.stdout,
    stderr: () => written.stderr,
    async until(pattern) {
      while (!pattern.test(written.stderr)) {
        const ended = exitCode.then((code) => {
          throw new Error(`it ended with ${code}:\n${written.stderr}`);
        });
        const more = child.stderr === null ? ended : once(child.stderr, 'data');
        await Promise.race([ended, more]);
      }
      return written.stderr;
    },
  };
}
