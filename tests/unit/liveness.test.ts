import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createLiveness } from '../../apps/worker/src/liveness.ts';

test('a worker whose loops stand still is dead, but not while Redis is away', () => {
  let [connected, moving, nowMs] = [true, true, 0];
  const liveness = createLiveness({
    connected: () => connected,
    isMoving: () => moving,
    graceMs: 30_000,
    now: () => nowMs,
  });
  nowMs = 60_000;
  assert.equal(liveness.isAlive(), true);
  moving = false;
  assert.equal(liveness.isAlive(), false);
  connected = false;
  assert.equal(liveness.isAlive(), true);
  connected = true;
  liveness.noteConnected();
  nowMs += 29_999;
  assert.equal(liveness.isAlive(), true);
  nowMs += 1;
  assert.equal(liveness.isAlive(), false);
});
