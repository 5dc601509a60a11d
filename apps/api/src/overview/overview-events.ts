import { AppError } from '@headrace/shared/errors.ts';
import { publicError } from '../middleware/errors.ts';
import type { Overview, Sight } from './overview.ts';

interface OverviewEventsOptions {
  overview: Overview;
  sight: Sight;
  /** Whether the caller may still look. @throws AppError when not */
  check: () => unknown | Promise<unknown>;
  /** Called once, when the stream has ended on either side. */
  onClose: () => void;
}

/** The caller's key is looked at again so often, in memory; a stream may be open for days. */
const CHECK_EVERY_MS = 500;
const HEARTBEAT_MS = 15_000;
/** Whoever does not read for so many events is cut off; the client comes back for the rest. */
const MOST_UNREAD = 30;
/** That a client waits before it comes back. */
const RETRY_MS = 1_000;

/** The overview as server-sent events, until either side ends it or the key is good no more. */
export function overviewEvents(options: OverviewEventsOptions): ReadableStream<Uint8Array> {
  const { overview, sight, check, onClose } = options;
  const encoder = new TextEncoder();
  const undo: (() => void)[] = [onClose];
  let open = true;

  function close(): void {
    open = false;
    for (const step of undo.splice(0)) step();
  }

  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const end = () => {
          if (!open) return;
          close();
          controller.close();
        };
        const send = (text: string) => {
          if (!open) return;
          if ((controller.desiredSize ?? 0) <= 0) end();
          else controller.enqueue(encoder.encode(text));
        };
        const fail = (error: unknown) => {
          const failure =
            error instanceof AppError ? error : new AppError('internal', { cause: error });
          // That Redis is away will be over; the stream goes on, and says what it knew.
          if (failure.code === 'redis_unavailable') return;
          send(`event: error\ndata: ${JSON.stringify({ error: publicError(failure) })}\n\n`);
          end();
        };
        const verify = async () => {
          try {
            await check();
          } catch (error) {
            fail(error);
          }
        };
        send(`retry: ${RETRY_MS}\n\n`);
        const timers = [
          setInterval(() => send(': keep-alive\n\n'), HEARTBEAT_MS),
          setInterval(() => void verify(), CHECK_EVERY_MS),
        ];
        undo.push(
          () => timers.forEach((timer) => void clearInterval(timer)),
          overview.onStop(end),
          overview.watch(sight, (event, sample) => {
            send(`event: ${event}\ndata: ${JSON.stringify(sample)}\n\n`);
          }),
        );
      },
      cancel: close,
    },
    { highWaterMark: MOST_UNREAD },
  );
}
