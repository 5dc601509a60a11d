import { ConfigError } from '@headrace/shared/env.ts';
import { keepHeapSmall } from '@headrace/shared/heap.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import { compose } from './compose.ts';
import { parseWorkerConfig } from './config.ts';

process.title = 'headrace-worker';
keepHeapSmall();
try {
  const config = parseWorkerConfig(process.env);
  const log = createLogger({ service: 'worker', level: config.HEADRACE_LOG_LEVEL });
  process.on('uncaughtException', (err) => {
    log.fatal({ event: 'worker.crashed', err }, 'uncaught error');
    process.exit(1);
  });
  const worker = await compose(config, log);
  const stop = async (reason: string) => {
    log.info({ event: 'worker.stopping', reason }, 'worker stopping');
    const clean = await worker.stop();
    log.info({ event: 'worker.stopped', clean }, 'worker stopped');
    process.exit(clean ? 0 : 1);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal));
  if (process.channel) process.on('disconnect', () => void stop('parent gone'));
  log.info({ event: 'worker.listening', port: worker.port }, 'probes listen');
  const missing = await worker.loaded;
  if (missing.length === 0) log.info({ event: 'worker.ready', port: worker.port }, 'worker ready');
  else log.error({ event: 'worker.not_ready', missing }, 'worker not ready');
} catch (error) {
  console.error(error instanceof ConfigError ? error.message : error);
  process.exit(1);
}
