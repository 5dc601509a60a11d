import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Lifecycle } from '@headrace/shared/lifecycle.ts';

/** A process of the benchmark itself: a raw engine, a bare producer, a bare route. */
export interface BenchProcess {
  readonly pid: number;
  send(message: object): void;
  /** The next message, in order. Rejects when the process ends instead. */
  next(): Promise<unknown>;
}

/** Starts `processes/<name>.ts`; it ends with `lifecycle`, or with this process. */
export function startBenchProcess(name: string, lifecycle: Lifecycle): BenchProcess {
  const file = fileURLToPath(new URL(`./processes/${name}.ts`, import.meta.url));
  const child = fork(file, { serialization: 'advanced' });
  const inbox: unknown[] = [];
  let waiting: PromiseWithResolvers<unknown> | null = null;
  let ended: Error | null = null;
  child.on('message', (message) => {
    if (waiting === null) inbox.push(message);
    else waiting.resolve(message);
    waiting = null;
  });
  const exited = new Promise<void>((resolve) => {
    child.once('exit', (code, signal) => {
      ended = new Error(`${name} ended with ${code ?? signal}`);
      waiting?.reject(ended);
      resolve();
    });
  });
  lifecycle.push(name, () => {
    child.kill('SIGKILL');
    return exited;
  });
  return {
    pid: child.pid ?? 0,
    send: (message) => void child.send(message),
    next() {
      if (inbox.length > 0) return Promise.resolve(inbox.shift());
      if (ended !== null) return Promise.reject(ended);
      waiting = Promise.withResolvers();
      return waiting.promise;
    },
  };
}
