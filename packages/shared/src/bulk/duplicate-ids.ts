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
    const digest = hash('sha1', id, 'binary');
    const number = digest.charCodeAt(0);
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
    const found = new EntryTable();
    for (const partition of this.#partitions) {
      if (partition === undefined || lines.length >= most) continue;
      lines.push(...found.duplicates(partition, most - lines.length));
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

  get bytes(): number {
    return this.#spilledBytes + this.#used;
  }

  /**
   * @param digest a byte in each character
   * @returns false when there is no room
   */
  add(digest: string, line: number): boolean {
    if (this.#used === this.#buffer.length) return false;
    this.#buffer.write(digest, this.#used, HASH_BYTES, 'latin1');
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

  /** All entries in the order of their lines, into a buffer with room for `bytes`. */
  copy(target: Buffer): void {
    for (let at = 0; this.#file !== null && at < this.#spilledBytes; ) {
      at += readSync(this.#file, target, at, this.#spilledBytes - at, at);
    }
    this.#buffer.copy(target, this.#spilledBytes, 0, this.#used);
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }
}

/** A hash table with open addressing, in the same two buffers for every partition. */
class EntryTable {
  #entries: Buffer = Buffer.alloc(0);
  /** 1 + the number of an entry; 0 where there is none. */
  #slots = new Uint32Array(0);

  duplicates(partition: Partition, most: number): number[] {
    const { bytes } = partition;
    this.#clear(bytes);
    partition.copy(this.#entries);
    const lines: number[] = [];
    // Entries are in the order of their lines, so the first of an id is the one that counts.
    for (let at = 0; at < bytes && lines.length < most; at += ENTRY_BYTES) {
      if (!this.#insert(at)) lines.push(this.#entries.readUInt32LE(at + HASH_BYTES));
    }
    return lines;
  }

  #clear(bytes: number): void {
    if (this.#entries.length < bytes) this.#entries = Buffer.allocUnsafe(2 * bytes);
    const least = 2 * (bytes / ENTRY_BYTES);
    if (this.#slots.length < least) {
      this.#slots = new Uint32Array(2 ** Math.ceil(Math.log2(least)));
    } else this.#slots.fill(0);
  }

  /** @returns false when an entry before has the same hash */
  #insert(at: number): boolean {
    const mask = this.#slots.length - 1;
    // The first byte is the same in the whole partition.
    let slot = this.#entries.readUInt32LE(at + 1) & mask;
    for (let other = this.#at(slot); other !== null; other = this.#at(slot)) {
      if (this.#same(at, other)) return false;
      slot = (slot + 1) & mask;
    }
    this.#slots[slot] = 1 + at / ENTRY_BYTES;
    return true;
  }

  #at(slot: number): number | null {
    const number = this.#slots[slot] ?? 0;
    return number === 0 ? null : (number - 1) * ENTRY_BYTES;
  }

  #same(a: number, b: number): boolean {
    const entries = this.#entries;
    return entries.compare(entries, b, b + HASH_BYTES, a, a + HASH_BYTES) === 0;
  }
}
