import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const START = fileURLToPath(new URL('../../start.mjs', import.meta.url));
const ADDRESS = /^ {2}address +(http\S+)$/;

export interface Product {
  url: string;
  stop(): Promise<void>;
}

/**
 * What `npm start` starts, on a free port.
 * @param home folder of its data and logs
 * @throws Error with what it printed, when it ends before it is ready
 */
export async function startProduct(home: string): Promise<Product> {
  const env = { ...process.env, HEADRACE_HOME: home, PORT: '0' };
  const child = spawn(process.execPath, [START], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  const printed: string[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  createInterface({ input: child.stdout })
    .on('line', (line) => {
      printed.push(line);
      const [, url] = ADDRESS.exec(line) ?? [];
      if (url !== undefined) resolve(url);
    })
    .on('close', () => reject(new Error(printed.join('\n'))));
  return {
    url: await promise,
    async stop() {
      child.kill('SIGTERM');
      await exited;
    },
  };
}
