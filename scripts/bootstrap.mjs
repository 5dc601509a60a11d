import { provideChromium } from './setup/chromium.mjs';
import { passThrough } from './setup/command.mjs';
import { installDependencies } from './setup/dependencies.mjs';
import { provideNode } from './setup/node-runtime.mjs';
import { provideRedisServer } from './setup/redis-server.mjs';
import { SetupError } from './setup/setup-error.mjs';

/** @typedef {import('./setup/command.mjs').Tools} Tools */

/**
 * Sets up what a command needs (Node 24, dependencies, Redis, a Chromium), then runs it and exits with
 * its code. Works on Node 18 and newer without node_modules: an older Node hands over to ours.
 * @param {{ redis: boolean, chromium?: boolean }} needs
 * @param {(tools: Tools) => Promise<number>} command gives its exit code
 */
export async function bootstrap(needs, command) {
  try {
    process.exit(await setUpAndRun(needs, command));
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`\n${error.message}`);
    process.exit(1);
  }
}

/** @type {(...args: Parameters<typeof bootstrap>) => Promise<number>} */
async function setUpAndRun(needs, command) {
  if (process.platform === 'win32') throw new SetupError('On Windows, run Headrace in WSL 2.');
  stopWithParent();
  const node = await provideNode();
  if (node !== process.execPath) {
    return passThrough(node, process.argv.slice(1), { env: process.env, tied: true });
  }
  await installDependencies();
  const redisServer = needs.redis ? await provideRedisServer() : null;
  return command({ redisServer, chromium: needs.chromium ? await provideChromium() : null });
}

/** An older Node that handed over to this one may be killed; nobody would pass signals on then. */
function stopWithParent() {
  if (!process.channel) return;
  process.channel.unref();
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
}
