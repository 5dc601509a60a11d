/**
 * Gathers the calls of one event-loop turn and hands them on together, so that one command to Redis
 * serves all of them.
 */
export function createTick<Item>(flush: (items: Item[]) => void): (item: Item) => void {
  let items: Item[] = [];
  return (item) => {
    items.push(item);
    if (items.length > 1) return;
    setImmediate(() => {
      const gathered = items;
      items = [];
      flush(gathered);
    });
  };
}
