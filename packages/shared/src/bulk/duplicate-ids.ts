import { hash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Of ten million ids, two that differ have the same 96 bits with a chance below 1e-14. */
const HASH_BYTES = 12;
const ENTRY_BYTES = HASH_BYTES + 4;
const PARTITION_ENTRIES = 4_096;

interface DuplicateIdsOptions {
  /** Entries of a partition that are kept in memory before they go to a file. */
  partitionEntries?: number;
}

/**
 * Finds ids that occur more than once, in memory that does not grow with their number: hashes are
 * dealt out to partitions, which go to temporary files when they are full and are checked one by
 * one in the end.
 */
export class DuplicateIds {
  readonly #entries: number;
  readonly #partitions: Partition[] = [];
  #folder: string | null = null;

  constructor({ partitionEntries = PARTITION_ENTRIES }: DuplicateIdsOptions = {}) {
    this.#entries = partitionEntries;
  }

  /** @param line its number, below 2^32 */
  add(id: string, line: number): void {
    const digest = hash('sha1', id, 'buffer');
    const number = digest[0] ?? 0;
    this.#partitions[number] ??= new Partition(this.#entries);
    const partition = this.#partitions[number];
    if (partition.add(digest, line)) return;
    this.#folder ??= mkdtempSync(join(tmpdir(), 'headrace-ids-'));
    partition.spill(join(this.#folder, String(number)));
    partition.add(digest, line);
  }

  /** Lines whose id an earlier line has, ascending; not more than `most`. */
  lines(most: number): number[] {
    const lines: number[] = [];
    for (const partition of this.#partitions) {
      if (partition === undefined || lines.length >= most) continue;
      lines.push(...partition.duplicates(most - lines.length));
    }
    return lines.sort((a, b) => a - b);
  }

  /** Removes the temporary files. Idempotent. */
  dispose(): void {
    for (const partition of this.#partitions) partition?.close();
    this.#partitions.length = 0;
    if (this.#folder !== null) rmSync(this.#folder, { recursive: true, force: true });
    this.#folder = null;
  }
}

class Partition {
  readonly #buffer: Buffer;
  #used = 0;
  #spilledBytes = 0;
  #file: number | null = null;

  constructor(entries: number) {
    this.#buffer = Buffer.allocUnsafe(entries * ENTRY_BYTES);
  }

  /** @returns false when there is no room */
  add(digest: Buffer, line: number): boolean {
    if (this.#used === this.#buffer.length) return false;
    digest.copy(this.#buffer, this.#used, 0, HASH_BYTES);
    this.#buffer.writeUInt32LE(line, this.#used + HASH_BYTES);
    this.#used += ENTRY_BYTES;
    return true;
  }

  spill(path: string): void {
    this.#file ??= openSync(path, 'wx+', 0o600);
    let written = 0;
    while (written < this.#used) {
      const left = this.#used - written;
      written += writeSync(this.#file, this.#buffer, written, left, this.#spilledBytes + written);
    }
    this.#spilledBytes += this.#used;
    this.#used = 0;
  }

  duplicates(most: number): number[] {
    const all = this.#all();
    const seen = new Set<string>();
    const lines: number[] = [];
    // Entries are in the order of their lines, so the first of an id is the one that counts.
    for (let at = 0; at < all.length && lines.length < most; at += ENTRY_BYTES) {
      const key = all.toString('latin1', at, at + HASH_BYTES);
      if (seen.has(key)) lines.push(all.readUInt32LE(at + HASH_BYTES));
      else seen.add(key);
    }
    return lines;
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  #all(): Buffer {
    const spilled = Buffer.allocUnsafe(this.#spilledBytes);
    for (let at = 0; this.#file !== null && at < spilled.length; ) {
      at += readSync(this.#file, spilled, at, spilled.length - at, at);
    }
    return Buffer.concat([spilled, this.#buffer.subarray(0, this.#used)]);
  }
}
