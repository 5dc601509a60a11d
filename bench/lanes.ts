/** Calls `task` for 0 to `count - 1`, `inFlight` at a time; rejects with the first failure. */
export async function inLanes(
  count: number,
  inFlight: number,
  task: (index: number) => Promise<unknown>,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await task(next++);
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
}
