/**
 * Gives the memory of a piece of a body back at once. V8 does not count it as its own, and lets about
 * 64 MiB of such pieces lie around before it looks which of them are still used.
 */
export function releaseBytes({ buffer, byteLength }: Uint8Array): void {
  // Others may have a part of a larger one.
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}
