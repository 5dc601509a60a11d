import { Worker } from 'node:worker_threads';
import type { ConsoleFiles } from './build.ts';

/** The files of the console; made when somebody first asks for them. */
export type ReadConsole = () => Promise<ConsoleFiles>;

/**
 * Builds in a thread, once: it takes a quarter of a second of a core, in which other requests go
 * on, and the thread takes what it needed of memory with it.
 */
export function createConsole(): ReadConsole {
  let files: Promise<ConsoleFiles> | null = null;
  return () => {
    files ??= build().catch((error) => {
      files = null;
      throw error;
    });
    return files;
  };
}

function build(): Promise<ConsoleFiles> {
  return new Promise((resolve, reject) => {
    // What it would write there is that stripping types is an experimental feature of Node.
    const thread = new Worker(new URL('./build-thread.ts', import.meta.url), { stderr: true });
    thread.once('message', resolve);
    thread.once('error', reject);
    thread.once('exit', () => reject(new Error('the console was not built')));
  });
}
