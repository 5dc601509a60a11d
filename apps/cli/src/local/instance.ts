import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Failure } from '../failure.ts';

export interface LocalInstance {
  url: string;
  /** Ends all of it, and waits until it has ended. */
  stop(): Promise<void>;
}

interface LocalOptions {
  env: Record<string, string | undefined>;
  signal: AbortSignal;
  say: (text: string) => void;
}

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));
/** A week, as long as a batch may take; its input and output are not needed for a month. */
const FILE_TTL_S = '604800';

/** What would make it another one's, or let others in. */
const OWN = { REDIS_URL: '', HEADRACE_BLOBS: '', HOST: '127.0.0.1', PORT: '0' };

/**
 * What `npm start` starts, for one command: on a free port, with data of its own that the next one
 * finds again, so that a batch that was paused can go on.
 * @throws Failure with its last words when it does not start; the signal's reason
 */
export async function startLocal({ env, signal, say }: LocalOptions): Promise<LocalInstance> {
  signal.throwIfAborted();
  say('Starting Headrace for this command …');
  const child = spawn(process.execPath, [join(ROOT, 'scripts', 'start.mjs')], {
    env: {
      HEADRACE_FILE_TTL_S: FILE_TTL_S,
      ...env,
      ...OWN,
      HEADRACE_HOME: env.HEADRACE_HOME || join(ROOT, '.headrace', 'local'),
    },
    // By the channel it notices when this process is gone, however that ended.
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // A Ctrl-C in the terminal is for us alone: the batch is paused before its server stops.
    detached: true,
  });
  const ended = once(child, 'close').then(() => undefined);
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
  };
  signal.addEventListener('abort', abortStart);
  try {
    return { url: await addressOf(child, ended), stop };
  } catch (error) {
    await stop();
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener('abort', abortStart);
  }

  function abortStart(): void {
    child.kill('SIGTERM');
  }
}

const READY = /^ {2}address {2}(\S+)$[\s\S]*Ctrl-C stops it\./m;
const RUNS_ALREADY = /running already|starting or stopping already/;

/** The address that it prints when it is ready. Its output is read to its end, so that it can go on. */
async function addressOf(child: ChildProcess, ended: Promise<void>): Promise<string> {
  let output = '';
  const { promise, resolve } = Promise.withResolvers<string>();
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      // Later it only says what went wrong with a part of it, which its logs have as well.
      if (output.length < 100_000) output += text;
      const url = READY.exec(output)?.[1];
      if (url !== undefined && !RUNS_ALREADY.test(output)) resolve(url);
    });
  }
  const failed = ended.then(() => {
    throw new Failure(`the local Headrace does not start:\n${output.trim()}`, hintOf(output));
  });
  return Promise.race([promise, failed]);
}

function hintOf(output: string): { hint?: string } {
  if (!RUNS_ALREADY.test(output)) return {};
  return {
    hint: 'Another --local uses its data: wait for it, call it with --url, or set HEADRACE_HOME.',
  };
}
