interface RecentReadsOptions<T> {
  read: (id: string) => Promise<T | null>;
  /** Nothing older is given. */
  maxAgeMs: number;
  /** Of what there is, and once more of what there is not. */
  maxEntries: number;
  now: () => number;
}

interface Entry<T> {
  value: T | null;
  /** When it was asked for. */
  atMs: number;
}

/**
 * What a store said a moment ago. A value in use is read anew at half its age, behind the back of
 * those who ask, so that they rarely wait. What is not there has a place of its own: whoever asks
 * for many such things drives nothing out that is.
 */
export class RecentReads<T> {
  readonly #options: RecentReadsOptions<T>;
  readonly #there = new Map<string, Entry<T>>();
  readonly #missing = new Map<string, Entry<T>>();
  readonly #reading = new Map<string, Promise<T | null>>();

  constructor(options: RecentReadsOptions<T>) {
    this.#options = options;
  }

  /** At once where it is known. @throws what `read` throws, when nothing recent is known */
  get(id: string): T | null | Promise<T | null> {
    const { now, maxAgeMs } = this.#options;
    const entry = this.#there.get(id) ?? this.#missing.get(id);
    const ageMs = entry === undefined ? Number.POSITIVE_INFINITY : now() - entry.atMs;
    if (entry === undefined || ageMs >= maxAgeMs) return this.#read(id);
    // That it failed is noticed when the value is too old.
    if (ageMs >= maxAgeMs / 2) this.#read(id).catch(() => undefined);
    return entry.value;
  }

  /** Who asks next reads it anew; what is being read may be older than the reason to forget. */
  forget(id: string): void {
    this.#drop(id);
    this.#reading.delete(id);
  }

  /** Who asks while it is read shares the answer. */
  #read(id: string): Promise<T | null> {
    const reading = this.#reading.get(id);
    if (reading !== undefined) return reading;
    const atMs = this.#options.now();
    const read: Promise<T | null> = this.#options.read(id).then(
      (value) => {
        if (this.#ended(id, read)) this.#keep(id, { value, atMs });
        return value;
      },
      (error) => {
        this.#ended(id, read);
        throw error;
      },
    );
    this.#reading.set(id, read);
    return read;
  }

  /** @returns whether nothing was forgotten meanwhile */
  #ended(id: string, read: Promise<T | null>): boolean {
    return this.#reading.get(id) === read && this.#reading.delete(id);
  }

  #drop(id: string): void {
    this.#there.delete(id);
    this.#missing.delete(id);
  }

  #keep(id: string, entry: Entry<T>): void {
    this.#drop(id);
    const entries = entry.value === null ? this.#missing : this.#there;
    entries.set(id, entry);
    const [oldest] = entries.keys();
    if (entries.size > this.#options.maxEntries && oldest !== undefined) entries.delete(oldest);
  }
}
