import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

const LARGEST_BYTES = 10 * 1024 * 1024;

/**
 * Appends lines to a file. The file before it is kept as `<path>.1`, and a file that has grown to
 * 10 MiB makes way for the next: the two together never take more than twice that.
 * @param {string} path
 * @returns {(line: string) => void}
 */
export function openLogFile(path) {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  let bytes = 0;
  const rotate = () => {
    if (statSync(path, { throwIfNoEntry: false })) renameSync(path, `${path}.1`);
    bytes = 0;
  };
  rotate();
  return (line) => {
    const text = `${line}\n`;
    if (bytes + text.length > LARGEST_BYTES) rotate();
    // At once: whoever looks for the reason of a crash must find the last line.
    appendFileSync(path, text);
    bytes += Buffer.byteLength(text);
  };
}
