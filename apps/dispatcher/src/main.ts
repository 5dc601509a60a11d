import { ConfigError } from '@headrace/shared/env.ts';
import { keepHeapSmall } from '@headrace/shared/heap.ts';
import { createLogger } from '@headrace/shared/logger.ts';
import { compose } from './compose.ts';
import { parseDispatcherConfig } from './config.ts';

process.title = 'headrace-dispatcher';
keepHeapSmall();
try {
  const config = parseDispatcherConfig(process.env);
  const log = createLogger({ service: 'dispatcher', level: config.HEADRACE_LOG_LEVEL });
  process.on('uncaughtException', (err) => {
    log.fatal({ event: 'dispatcher.crashed', err }, 'uncaught error');
    process.exit(1);
  });
  const dispatcher = await compose(config, log);
  const stop = async (reason: string) => {
    log.info({ event: 'dispatcher.stopping', reason }, 'dispatcher stopping');
    const clean = await dispatcher.stop();
    log.info({ event: 'dispatcher.stopped', clean }, 'dispatcher stopped');
    process.exit(clean ? 0 : 1);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void stop(signal));
  if (process.channel) process.on('disconnect', () => void stop('parent gone'));
  log.info({ event: 'dispatcher.ready', port: dispatcher.port }, 'dispatcher ready');
} catch (error) {
  console.error(error instanceof ConfigError ? error.message : error);
  process.exit(1);
}
