import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../node_modules/s3rver/bin/s3rver.js', import.meta.url));
const BUCKET = 'headrace';

export interface TestS3 {
  /** For `HEADRACE_BLOBS`. */
  url: string;
  bucket: string;
  /** Credentials that the server knows, as the SDK reads them. */
  env: Record<string, string>;
  endpoint: string;
  stop(): Promise<void>;
}

/** An S3 server in a process of its own, with one bucket, in a folder that is removed. */
export async function startS3(): Promise<TestS3> {
  const folder = mkdtempSync(join(tmpdir(), 'headrace-s3-'));
  const where = ['--directory', folder, '--address', '127.0.0.1', '--port', '0'];
  // It encrypts its continuation tokens with a cipher that OpenSSL calls legacy.
  const flags = ['--openssl-legacy-provider', '--no-deprecation'];
  const child = spawn(process.execPath, [...flags, BIN, ...where, '--configure-bucket', BUCKET], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit');
  let port = '';
  for await (const line of createInterface({ input: child.stdout })) {
    port = /listening on \S+:(\d+)/.exec(line)?.[1] ?? '';
    if (port !== '') break;
  }
  child.stdout.resume();
  child.stderr.resume();
  const endpoint = `http://127.0.0.1:${port}`;
  return {
    url: `s3://${BUCKET}/some/where?endpoint=${encodeURIComponent(endpoint)}&path_style=true`,
    ...{ bucket: BUCKET, endpoint },
    env: { AWS_ACCESS_KEY_ID: 'S3RVER', AWS_SECRET_ACCESS_KEY: 'S3RVER' },
    async stop() {
      child.kill('SIGKILL');
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
