import { test } from 'node:test';
import { assertSurvives } from '../chaos/harness/short-form.ts';
import { callbacks } from '../chaos/rows/16-callbacks.ts';
import { insideReceivers } from '../chaos/rows/17-inside-receivers.ts';
import { signatures } from '../chaos/rows/18-signatures.ts';
import { hostileBodiesRow } from '../chaos/rows/19-hostile-bodies.ts';
import { slowSockets } from '../chaos/rows/20-slow-sockets.ts';

test('no callback reaches an inside address, however it is written or resolved', (t) =>
  assertSurvives(t, insideReceivers));

test('no body costs more than its refusal, whatever it is made of', (t) =>
  assertSurvives(t, hostileBodiesRow));

test('sockets that are slow on purpose are closed, and nobody else notices', (t) =>
  assertSurvives(t, slowSockets));
test('callbacks survive kills of dispatchers and whatever receivers do', (t) =>
  assertSurvives(t, callbacks));

test('every verifier takes our callbacks, and none that was tampered with', (t) =>
  assertSurvives(t, signatures));
