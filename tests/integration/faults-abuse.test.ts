import { test } from 'node:test';
import { assertSurvives } from '../chaos/harness/short-form.ts';
import { insideReceivers } from '../chaos/rows/17-inside-receivers.ts';
import { hostileBodiesRow } from '../chaos/rows/19-hostile-bodies.ts';
import { slowSockets } from '../chaos/rows/20-slow-sockets.ts';

test('no callback reaches an inside address, however it is written or resolved', (t) =>
  assertSurvives(t, insideReceivers));

test('no body costs more than its refusal, whatever it is made of', (t) =>
  assertSurvives(t, hostileBodiesRow));

test('sockets that are slow on purpose are closed, and nobody else notices', (t) =>
  assertSurvives(t, slowSockets));
