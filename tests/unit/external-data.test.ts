import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { findExternalData } from '../../apps/worker/src/inference/external-data.ts';
import { TINY_MODELS } from '../helpers/engines.ts';

const folder = mkdtempSync(join(tmpdir(), 'headrace-'));
after(() => rmSync(folder, { recursive: true }));

function scan(bytes: Uint8Array): string | null {
  const path = join(folder, 'graph.onnx');
  writeFileSync(path, bytes);
  return findExternalData(path);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return Buffer.from([...bytes, rest]);
}

/** A field that holds a message, a text or bytes. */
function message(field: number, ...content: Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  return Buffer.concat([varint(field * 8 + 2), varint(body.length), body]);
}

function number(field: number, value: number): Buffer {
  return Buffer.concat([varint(field * 8), varint(value)]);
}

const GRAPH = 7;
const INITIALIZER = 5;
const LOCATION = message(13, message(1, Buffer.from('location')), message(2, Buffer.from('/etc')));
const NODE_ATTRIBUTE = (...attribute: Uint8Array[]) => message(1, message(5, ...attribute));

describe('a scan for weights in other files', () => {
  test('finds them among the initializers', () => {
    assert.equal(scan(message(GRAPH, message(INITIALIZER, LOCATION))), 'model.graph.external_data');
  });

  test('finds a tensor that only says that it is elsewhere', () => {
    const tensor = message(INITIALIZER, number(1, 3), number(14, 1));
    assert.equal(scan(message(GRAPH, tensor)), 'model.graph.data_location');
  });

  test('finds them wherever a tensor may stand', () => {
    const tensors = {
      'attribute t': message(GRAPH, NODE_ATTRIBUTE(message(5, LOCATION))),
      'attribute tensors': message(GRAPH, NODE_ATTRIBUTE(message(10, LOCATION))),
      'sparse values': message(GRAPH, message(15, message(1, LOCATION))),
      'sparse indices': message(GRAPH, message(15, message(2, LOCATION))),
      'sparse attribute': message(GRAPH, NODE_ATTRIBUTE(message(22, message(1, LOCATION)))),
      'sparse attributes': message(GRAPH, NODE_ATTRIBUTE(message(23, message(1, LOCATION)))),
      subgraph: message(GRAPH, NODE_ATTRIBUTE(message(6, message(INITIALIZER, LOCATION)))),
      subgraphs: message(GRAPH, NODE_ATTRIBUTE(message(11, message(INITIALIZER, LOCATION)))),
      'function node': message(25, message(7, message(5, message(5, LOCATION)))),
      'function default': message(25, message(11, message(5, LOCATION))),
      training: message(20, message(1, message(INITIALIZER, LOCATION))),
    };
    for (const [place, bytes] of Object.entries(tensors)) {
      assert.match(scan(bytes) ?? 'nothing', /external_data$/, place);
    }
  });

  test('finds them behind weights that are larger than it reads at once', () => {
    const weights = message(INITIALIZER, message(9, Buffer.alloc(300_000, 0xff)));
    const bytes = message(GRAPH, weights, weights, message(INITIALIZER, LOCATION));
    assert.equal(scan(bytes), 'model.graph.external_data');
  });

  test('is content with weights in the file, and with text that looks like a location', () => {
    const inside = message(INITIALIZER, number(14, 0), message(9, Buffer.alloc(8)));
    const docs = message(GRAPH, message(10, message(INITIALIZER, LOCATION)), inside);
    assert.equal(scan(docs), null);
    assert.equal(findExternalData(join(TINY_MODELS, 'tiny-hanger/1/model.onnx')), null);
  });

  test('refuses what is no protobuf message', () => {
    const whole = message(GRAPH, message(INITIALIZER, message(9, Buffer.alloc(100))));
    const bad = {
      empty: Buffer.alloc(0),
      'cut off': whole.subarray(0, 50),
      'longer than its parent': message(GRAPH, varint(INITIALIZER * 8 + 2), varint(1000)),
      'group wire type': Buffer.from([GRAPH * 8 + 3, 0]),
      'field 0': Buffer.from([2, 0]),
      'tag that protobuf would cut to a graph': varint(2 ** 32 + GRAPH * 8 + 2),
      'endless number': Buffer.alloc(20, 0xff),
      text: Buffer.from('not an ONNX graph'),
    };
    for (const [name, bytes] of Object.entries(bad)) assert.throws(() => scan(bytes), Error, name);
  });

  test('refuses graphs that are nested without end', () => {
    let graph = message(INITIALIZER, LOCATION);
    for (let depth = 0; depth < 60; depth++) graph = NODE_ATTRIBUTE(message(6, graph));
    assert.throws(() => scan(message(GRAPH, graph)), /nested too deep/);
  });
});
