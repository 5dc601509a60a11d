import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigError } from '@headrace/shared/env.ts';
import { redisFailure } from '@headrace/shared/redis.ts';
import type { ApiConfig } from './config.ts';
import type { Keyring } from './keyring.ts';

const ASK_AGAIN_MS = 250;
const MAX_WAIT_MS = 60_000;

/**
 * Without a key everybody may do everything, so such a server is for its own machine only. Whether
 * there is one only Redis can say, which a container may have to wait for.
 * @throws ConfigError when nothing keeps strangers away, or nobody can tell
 */
export async function admitHost(config: ApiConfig, keyring: Keyring): Promise<void> {
  const { HOST, HEADRACE_AUTH } = config;
  if (HEADRACE_AUTH === 'off' || isLoopback(HOST)) return;
  if (await demandsKeys(keyring)) return;
  throw refused(
    `there are no API keys, so only loopback may be listened on, not ${HOST}. ` +
      'Set HEADRACE_ADMIN_KEY and create keys with it, or create one on loopback first ' +
      '(headrace keys create); HEADRACE_AUTH=off lets in whoever reaches the port.',
  );
}

async function demandsKeys(keyring: Keyring): Promise<boolean> {
  const deadline = performance.now() + MAX_WAIT_MS;
  for (;;) {
    try {
      return await keyring.demanded();
    } catch (error) {
      if (!redisFailure(error)) throw error;
      if (performance.now() < deadline) await sleep(ASK_AGAIN_MS);
      else throw refused('Redis cannot be asked whether there are API keys.');
    }
  }
}

function refused(why: string): ConfigError {
  return new ConfigError(`The configuration is not valid:\n  HOST: ${why}`);
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}
