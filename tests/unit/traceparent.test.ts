import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatTraceparent, parseTraceparent } from '@headrace/shared/tracing/tracing.ts';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

describe('a traceparent', () => {
  test('is read and written as W3C Trace Context says', () => {
    const text = `00-${TRACE}-${SPAN}-01`;
    const parsed = parseTraceparent(text);
    assert.deepEqual(parsed, { traceId: TRACE, spanId: SPAN, sampled: true });
    assert.equal(parsed && formatTraceparent(parsed), text);
    assert.equal(parseTraceparent(`00-${TRACE}-${SPAN}-00`)?.sampled, false);
  });

  test('of a newer version is read as far as it is known', () => {
    assert.equal(parseTraceparent(`01-${TRACE}-${SPAN}-03-more`)?.sampled, true);
  });

  for (const [why, text] of [
    ['is empty', ''],
    ['has more than version 00 knows', `00-${TRACE}-${SPAN}-01-more`],
    ['has the version that none has', `ff-${TRACE}-${SPAN}-01`],
    ['has no trace', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['has no span', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['is in capitals', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ['has a line break', `00-${TRACE}-${SPAN}-01\n`],
    ['is long', `01-${TRACE}-${SPAN}-01-${'x'.repeat(1000)}`],
  ]) {
    test(`is not taken when it ${why}`, () => assert.equal(parseTraceparent(text ?? ''), null));
  }
});
