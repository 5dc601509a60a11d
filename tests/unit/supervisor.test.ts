import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Supervisor } from '../../scripts/start/supervisor.mjs';

/** A part under supervision that ends when the test says so. */
function supervise(t: TestContext, launches: (() => Promise<void>)[] = []) {
  const stopping = new AbortController();
  t.after(() => stopping.abort());
  const givenUp = Promise.withResolvers<Error>();
  const launched: PromiseWithResolvers<void>[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const launch = async () => {
    await launches[launched.length]?.();
    const end = Promise.withResolvers<void>();
    launched.push(end);
    for (const { count, resolve } of waiting) if (launched.length >= count) resolve();
    const kill = () => end.resolve();
    return {
      exited: end.promise,
      lastLines: () => ['the last line'],
      stop: async () => kill(),
      kill,
    };
  };
  const supervisor = new Supervisor(
    { name: 'part', logFile: 'part.log', launch },
    {
      terminal: { say: () => {}, log: () => {} },
      signal: stopping.signal,
      onGiveUp: givenUp.resolve,
      firstDelayMs: 1,
    },
  );
  return {
    supervisor,
    stopping,
    givenUp: givenUp.promise,
    launchedCount: () => launched.length,
    crash: () => launched.at(-1)?.resolve(),
    untilLaunched: (count: number) => {
      const { promise, resolve } = Promise.withResolvers<void>();
      if (launched.length >= count) resolve();
      else waiting.push({ count, resolve });
      return promise;
    },
  };
}

test('starts a part again five times, then gives up with its last lines', async (t) => {
  const { supervisor, crash, untilLaunched, givenUp, launchedCount } = supervise(t);
  await supervisor.start();
  for (let restarts = 1; restarts <= 5; restarts++) {
    crash();
    await untilLaunched(restarts + 1);
  }
  crash();
  const error = await givenUp;
  assert.match(error.message, /part ended 6 times .*\n {2}the last line\n.*part\.log/);
  assert.equal(launchedCount(), 6);
});

test('counts a part that does not become ready again like one that ends', async (t) => {
  const fails = () => Promise.reject(new Error('not today'));
  const { supervisor, crash, givenUp } = supervise(t, [async () => {}, fails]);
  await supervisor.start();
  crash();
  assert.match((await givenUp).message, /ended 6 times .*\nnot today\n/);
});

test('does not try again a part that never was ready', async (t) => {
  const fails = () => Promise.reject(new Error('bad configuration'));
  const { supervisor, launchedCount } = supervise(t, [fails]);
  await assert.rejects(supervisor.start(), /bad configuration/);
  assert.equal(launchedCount(), 0);
});

test('starts nothing again once all has to stop', async (t) => {
  const { supervisor, stopping, launchedCount } = supervise(t);
  const running = await supervisor.start();
  stopping.abort();
  await supervisor.stop();
  await running.exited;
  assert.equal(launchedCount(), 1);
});
