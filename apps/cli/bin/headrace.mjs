#!/usr/bin/env node
import { fileURLToPath } from 'node:url';
import { passThrough } from '../../../scripts/setup/command.mjs';
import { provideNode } from '../../../scripts/setup/node-runtime.mjs';

const main = new URL('../src/main.ts', import.meta.url);
// What set-up has to say must not come between the results.
console.log = console.error;
const node = await provideNode();
if (node === process.execPath) await import(main.href);
else {
  const args = [fileURLToPath(main), ...process.argv.slice(2)];
  const options = { env: process.env, tied: true, cwd: process.cwd() };
  process.exitCode = await passThrough(node, args, options);
}
