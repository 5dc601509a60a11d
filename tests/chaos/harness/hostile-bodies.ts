import { gzipSync } from 'node:zlib';

export interface HostileBody {
  name: string;
  /** Pieces as they are sent; more than one have no length before them. */
  pieces: string[] | Buffer[];
  headers?: Record<string, string>;
  /** What may be answered; some of them are wrong in more than one way, by the route. */
  statuses: number[];
}

const MIB = 1_048_576;
const JSON_TYPE = { 'content-type': 'application/json' };
const TOO_LARGE = [413];
const MALFORMED = [400];
const UNKNOWN_TYPE = [415];
const WRONG_ROWS = [400, 413, 422];
const repeat = (text: string, bytes: number) => text.repeat(Math.floor(bytes / text.length));

/** Bodies that would cost much if they were paid for. */
export function hostileBodies(): HostileBody[] {
  const keys = (count: number) => Array.from({ length: count }, (_, i) => `"${i}":1`).join();
  const bomb = gzipSync(Buffer.alloc(32 * MIB));
  const almost = MIB - 1_000;
  const bodies: HostileBody[] = [
    { name: '16 MiB', pieces: [repeat(' ', 16 * MIB)], statuses: TOO_LARGE },
    { name: '16 MiB in chunks', pieces: Array(256).fill(repeat(' ', 65_536)), statuses: TOO_LARGE },
    { name: 'a million keys', pieces: [`{${keys(1_000_000)}}`], statuses: TOO_LARGE },
    { name: 'keys up to the limit', pieces: [`{${keys(90_000)}}`], statuses: MALFORMED },
    { name: 'keys of metadata', pieces: [`{"metadata":{${keys(90_000)}}}`], statuses: MALFORMED },
    { name: 'numbers', pieces: [`{"input":[${repeat('1,', almost)}1]}`], statuses: WRONG_ROWS },
    {
      name: 'empty rows',
      pieces: [`{"input":[${repeat('"",', almost)}""]}`],
      statuses: WRONG_ROWS,
    },
    {
      name: 'empty objects',
      pieces: [`{"input":[${repeat('{},', almost)}{}]}`],
      statuses: MALFORMED,
    },
    { name: 'nested arrays', pieces: [repeat('[', MIB)], statuses: MALFORMED },
    { name: 'nested objects', pieces: [repeat('{"a":', almost)], statuses: MALFORMED },
    { name: 'one text', pieces: [`{"input":"${repeat('x', almost)}"}`], statuses: WRONG_ROWS },
    {
      name: 'wide text',
      pieces: [`{"input":"${repeat('日', almost / 3)}"}`],
      statuses: WRONG_ROWS,
    },
    { name: 'escapes', pieces: [`{"input":"${repeat('\\u0041', almost)}"}`], statuses: WRONG_ROWS },
    { name: 'an open string', pieces: [`"${repeat('\\"', almost)}`], statuses: MALFORMED },
    { name: 'a long number', pieces: [`{"input":${repeat('9', almost)}}`], statuses: MALFORMED },
  ];
  const gzip = { ...JSON_TYPE, 'content-encoding': 'gzip' };
  return [
    ...bodies,
    { name: 'a gzip bomb', pieces: [bomb], headers: gzip, statuses: UNKNOWN_TYPE },
    {
      name: 'a gzip bomb as chunks of transfer',
      pieces: [bomb],
      headers: { ...JSON_TYPE, 'transfer-encoding': 'gzip, chunked' },
      statuses: [400, 415, 501],
    },
    {
      name: 'a form',
      pieces: [repeat('a=1&', almost)],
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      statuses: UNKNOWN_TYPE,
    },
  ].map((body) => ({ headers: JSON_TYPE, ...body }));
}
