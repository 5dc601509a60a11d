import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Redis } from 'ioredis';

/** Keys of a Redis that hold a word, in their name or anywhere in their value. */
export async function keysWith(redis: Redis, word: string): Promise<string[]> {
  const found: string[] = [];
  for (const key of await redis.keys('*')) {
    const value = `${key}\n${JSON.stringify(await readValue(redis, key))}`;
    if (value.includes(word)) found.push(key);
  }
  return found;
}

/** A whole value, of whatever type it is. */
async function readValue(redis: Redis, key: string): Promise<unknown> {
  switch (await redis.type(key)) {
    case 'string':
      return redis.get(key);
    case 'hash':
      return redis.hgetall(key);
    case 'list':
      return redis.lrange(key, 0, -1);
    case 'set':
      return redis.smembers(key);
    case 'zset':
      return redis.zrange(key, '0', '-1');
    case 'stream':
      return redis.xrange(key, '-', '+');
    default:
      return null;
  }
}

/** Files below a folder that hold a word, in their name or their content. */
export async function filesWith(folder: string, word: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((e) => join(e.parentPath, e.name));
  const found = await Promise.all(
    paths.map(async (path) => {
      // One that is swept meanwhile holds nothing.
      const content = await readFile(path, 'utf8').catch(() => '');
      return path.includes(word) || content.includes(word);
    }),
  );
  return paths.filter((_, i) => found[i]);
}
