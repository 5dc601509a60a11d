import { createThrottle, type Logger } from './logger.ts';
import { redisFailure } from './redis.ts';

/** Every connection of a queue fails again and again while Redis is away. */
const AWAY_AGAIN_MS = 30_000;
const OTHER_AGAIN_MS = 1_000;

/** Logs errors of a queue, seldom enough to be read. */
export function createQueueErrorLog(log: Logger, queue: string): (err: Error) => void {
  const away = createThrottle(AWAY_AGAIN_MS);
  const other = createThrottle(OTHER_AGAIN_MS);
  return (err) => {
    const throttle = redisFailure(err) === null ? other : away;
    throttle('error', (swallowed) =>
      log.warn({ event: 'queue.error', queue, err, swallowed }, 'queue error'),
    );
  };
}
