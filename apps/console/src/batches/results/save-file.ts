import { save } from '../../elements/save.ts';
import { api } from '../../session/session.ts';

export interface TextChange {
  push(text: string): string;
  end(): string;
}

interface SaveOptions {
  name: string;
  signal: AbortSignal;
  onProgress: (share: number) => void;
  change?: TextChange | undefined;
}

/** Pieces are handed to the browser in blocks, which it keeps on the disk. */
const BLOCK_BYTES = 8 * 2 ** 20;

/** Downloads a file of the API under a name, changed on the way if that is wanted. */
export async function saveFile(fileId: string, options: SaveOptions): Promise<void> {
  const { name, signal, onProgress, change } = options;
  const { bytes, stream } = await api().files.content(fileId, { signal });
  const blocks = new Blocks();
  const decoder = new TextDecoder();
  const reader = stream.getReader();
  let read = 0;
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    read += next.value.byteLength;
    onProgress(bytes === 0 ? 1 : read / bytes);
    if (change === undefined) blocks.add(next.value.slice());
    else blocks.add(change.push(decoder.decode(next.value, { stream: true })));
  }
  if (change !== undefined) blocks.add(change.push(decoder.decode()) + change.end());
  save(blocks.whole(), name);
}

class Blocks {
  #done: Blob[] = [];
  #open: (string | Uint8Array<ArrayBuffer>)[] = [];
  #openBytes = 0;

  add(piece: string | Uint8Array<ArrayBuffer>): void {
    this.#open.push(piece);
    this.#openBytes += piece.length;
    if (this.#openBytes < BLOCK_BYTES) return;
    this.#done.push(new Blob(this.#open));
    this.#open = [];
    this.#openBytes = 0;
  }

  whole(): Blob {
    return new Blob([...this.#done, ...this.#open]);
  }
}
