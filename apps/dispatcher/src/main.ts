import { keepHeapSmall, keepNewSpaceSmall } from '@headrace/shared/heap.ts';

process.title = 'headrace-dispatcher';
keepHeapSmall();
keepNewSpaceSmall();
const { ConfigError } = await import('@headrace/shared/env.ts');
const { createLogger } = await import('@headrace/shared/logger.ts');
const { compose } = await import('./compose.ts');
const { parseDispatcherConfig } = await import('./config.ts');
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
