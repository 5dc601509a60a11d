import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runNpm } from './npm.mjs';
import { ROOT, TOOLS } from './paths.mjs';
import { withLock } from './process-lock.mjs';

// Inside node_modules: whoever removes that folder removes the stamp with it.
const STAMP = join(ROOT, 'node_modules', '.headrace-lock-sha256');

/** Installs what the lock file says, unless that is what is installed. */
export async function installDependencies() {
  if (isInstalled()) return;
  await withLock(join(TOOLS, 'install.lock'), async () => {
    if (isInstalled()) return;
    console.log('Installing dependencies from package-lock.json …');
    await runNpm(['ci']);
    writeFileSync(STAMP, lockHash());
  });
}

function isInstalled() {
  try {
    return readFileSync(STAMP, 'utf8').trim() === lockHash();
  } catch {
    return false;
  }
}

function lockHash() {
  return createHash('sha256')
    .update(readFileSync(join(ROOT, 'package-lock.json')))
    .digest('hex');
}
