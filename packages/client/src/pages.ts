import type { Page } from './api-types.ts';

/** A page when it is awaited; iterated over, all that there is, page by page. */
export type List<T> = Promise<Page<T>> & AsyncIterable<T>;

/** @param read gives the page after the one with that `last_id` */
export function listOf<T>(
  read: (after: string | undefined) => Promise<Page<T>>,
  after?: string | undefined,
): List<T> {
  const first = read(after);
  return Object.assign(first, {
    async *[Symbol.asyncIterator]() {
      for (let page = await first; ; page = await read(page.last_id ?? undefined)) {
        yield* page.data;
        if (!page.has_more || page.last_id === null) return;
      }
    },
  });
}
