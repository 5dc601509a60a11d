import { AppError } from '@headrace/shared/errors.ts';

/** How many event streams may be open at once in this process. */
export interface StreamSlots {
  /** @returns how to give it back, once. @throws AppError `overloaded` */
  take(): () => void;
}

const RETRY_AFTER_S = 5;

export function createStreamSlots(most: number): StreamSlots {
  let open = 0;
  return {
    take() {
      if (open >= most) {
        const message = 'Too many event streams are open.';
        throw new AppError('overloaded', { message, retryAfterS: RETRY_AFTER_S });
      }
      open += 1;
      let given = false;
      return () => {
        if (!given) open -= 1;
        given = true;
      };
    },
  };
}
