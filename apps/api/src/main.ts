import { ConfigError } from '@headrace/shared/env.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import { compose } from './compose.ts';
import { type ApiConfig, parseConfig } from './config.ts';

const config = configOrExit();
const log = createLogger({ service: 'api', level: config.HEADRACE_LOG_LEVEL });
try {
  const api = await compose(config, log);
  const stop = async (reason: string) => {
    const clean = await api.stop();
    log.info({ event: 'api.stopped', reason, clean }, 'stopped');
    process.exit(clean ? 0 : 1);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop(signal));
  // A parent that died without a word leaves only this.
  if (process.channel) process.once('disconnect', () => stop('disconnect'));
  log.info({ event: 'api.listening', ...(await api.listen()) }, 'listening');
} catch (err) {
  if (err instanceof ConfigError) exitWith(err);
  log.fatal({ event: 'api.failed', err }, 'cannot start');
  process.exit(1);
}

function configOrExit(): ApiConfig {
  try {
    return parseConfig(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    exitWith(error);
  }
}

function exitWith({ message }: ConfigError): never {
  console.error(message);
  process.exit(1);
}
