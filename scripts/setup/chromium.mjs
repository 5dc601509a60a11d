import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { runQuietly } from './command.mjs';
import { ROOT } from './paths.mjs';
import { installPackage } from './system-package.mjs';

/** Where distributions put it; the first that is there is taken. */
const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const PATHS = [
  '/usr/bin/chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];
const PLAYWRIGHT = join(ROOT, 'node_modules/playwright-core');
const DOWNLOAD_MS = 180_000;

/**
 * The Chromium of `CHROMIUM_PATH`, of the system, or Playwright's own, for the tests of the console;
 * installs one where that takes no password.
 * @returns {Promise<string | null>} null where there is none
 */
export async function provideChromium() {
  const found = await findChromium();
  if (found !== null || process.env.HEADRACE_NO_INSTALL) return found;
  await installPackage('Chromium, for the tests of the console', { 'apt-get': 'chromium' });
  const installed = await findChromium();
  if (installed !== null) return installed;
  console.log('Downloading Chromium, for the tests of the console …');
  const install = [join(PLAYWRIGHT, 'cli.js'), 'install', '--no-shell', 'chromium'];
  await runQuietly(process.execPath, install, { timeout: DOWNLOAD_MS });
  return findChromium();
}

/** @returns {Promise<string | null>} the first that starts */
export async function findChromium() {
  // Loaded here: it is there once the dependencies are installed.
  const { chromium } = await import('playwright-core');
  const { CHROMIUM_PATH, PATH = '' } = process.env;
  const folders = PATH.split(delimiter);
  const candidates = CHROMIUM_PATH
    ? [CHROMIUM_PATH]
    : [
        ...PATHS,
        ...NAMES.flatMap((name) => folders.map((folder) => join(folder, name))),
        chromium.executablePath(),
      ];
  for (const path of new Set(candidates)) {
    if (existsSync(path) && (await runQuietly(path, ['--version'])).ok) return path;
  }
  return null;
}
