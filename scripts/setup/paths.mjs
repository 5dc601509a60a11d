import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** What set-up downloads for itself, beside the data of `npm start`; git ignores it. */
export const TOOLS = join(ROOT, '.headrace');
