import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/**
 * Looks for tensors of an ONNX graph whose bytes are kept in another file: ONNX Runtime would open
 * the path that the graph names. Weights are skipped, not read, so a large file costs little.
 * @returns where the first one is, such as `graph.initializer`, or null
 * @throws Error when the file is not a protobuf message of ONNX's shape
 */
export function findExternalData(path: string): string | null {
  const fd = openSync(path, 'r');
  try {
    const size = fstatSync(fd).size;
    if (size === 0) throw new Error('the file is empty');
    return walk(new FileWindow(fd, size), { type: 'model', start: 0, end: size, depth: 0 });
  } finally {
    closeSync(fd);
  }
}

type ParentType = 'model' | 'training' | 'function' | 'graph' | 'node' | 'attribute' | 'sparse';
type MessageType = ParentType | 'tensor';

/** Which fields of which message can hold a tensor, by field number (onnx.proto3). */
const CHILDREN: Record<ParentType, Readonly<Record<number, MessageType>>> = {
  model: { 7: 'graph', 20: 'training', 25: 'function' },
  training: { 1: 'graph', 2: 'graph' },
  function: { 7: 'node', 11: 'attribute' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  sparse: { 1: 'tensor', 2: 'tensor' },
};
const TENSOR_EXTERNAL_DATA = 13;
const TENSOR_DATA_LOCATION = 14;
const MAX_DEPTH = 100;

interface Span {
  type: MessageType;
  start: number;
  end: number;
  depth: number;
}

function walk(file: FileWindow, span: Span): string | null {
  if (span.depth > MAX_DEPTH) throw new Error('messages are nested too deep');
  file.at = span.start;
  while (file.at < span.end) {
    const field = readField(file, span.end);
    if (span.type === 'tensor') {
      if (field.number === TENSOR_EXTERNAL_DATA) return 'external_data';
      if (field.number === TENSOR_DATA_LOCATION && field.value !== 0) return 'data_location';
    } else {
      const type = CHILDREN[span.type][field.number];
      if (type !== undefined && field.isMessage) {
        const child = { type, start: field.start, end: field.end, depth: span.depth + 1 };
        const found = walk(file, child);
        if (found !== null) return `${span.type}.${found}`;
      }
    }
    file.at = field.end;
  }
  return null;
}

interface Field {
  number: number;
  isMessage: boolean;
  /** The varint's value; 0 for other kinds. */
  value: number;
  start: number;
  end: number;
}

/** Reads a field's head; the content lies at `[start, end)`. */
function readField(file: FileWindow, limit: number): Field {
  const tag = readVarint(file);
  // Protobuf would drop the bits above and see another field.
  if (tag >= 2 ** 32) throw new Error(`a tag at byte ${file.at} is too large`);
  const number = Math.floor(tag / 8);
  const wire = tag % 8;
  if (number === 0) throw new Error(`field number 0 at byte ${file.at}`);
  let value = 0;
  let bytes = 0;
  if (wire === 0) value = readVarint(file);
  else if (wire === 1) bytes = 8;
  else if (wire === 2) bytes = readVarint(file);
  else if (wire === 5) bytes = 4;
  else throw new Error(`unknown wire type ${wire} at byte ${file.at}`);
  const start = file.at;
  const end = start + bytes;
  if (end > limit) throw new Error(`field ${number} at byte ${start} runs over its message`);
  return { number, isMessage: wire === 2, value, start, end };
}

/** Base-128, low group first. Above 2^53 it is rounded: no length or tag of ours is that large. */
function readVarint(file: FileWindow): number {
  let value = 0;
  for (let i = 0; i < 10; i++) {
    const byte = file.readByte();
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return value;
  }
  throw new Error(`a number at byte ${file.at} does not end`);
}

/** A byte reader that jumps freely and holds 64 KiB of the file. */
class FileWindow {
  at = 0;
  readonly #fd: number;
  readonly #size: number;
  readonly #bytes = Buffer.alloc(65_536);
  #start = 0;
  #filled = 0;

  constructor(fd: number, size: number) {
    this.#fd = fd;
    this.#size = size;
  }

  readByte(): number {
    if (this.at >= this.#size) throw new Error('the file ends within a message');
    if (this.at < this.#start || this.at >= this.#start + this.#filled) {
      this.#start = this.at;
      this.#filled = readSync(this.#fd, this.#bytes, 0, this.#bytes.length, this.at);
    }
    const byte = this.#bytes[this.at - this.#start];
    if (this.#filled === 0 || byte === undefined) throw new Error('the file shrank while read');
    this.at += 1;
    return byte;
  }
}
