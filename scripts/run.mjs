import { existsSync } from 'node:fs';
import { bootstrap } from './bootstrap.mjs';
import { passThrough, programEnv } from './setup/command.mjs';
import { SetupError } from './setup/setup-error.mjs';

// node scripts/run.mjs <file> [arguments]: any program of ours, also one for bash, after the same
// set-up.
await bootstrap({ redis: true }, async (tools) => {
  const [file, ...args] = process.argv.slice(2);
  if (!file || !existsSync(file)) throw new SetupError(`There is no program ${file ?? ''}`);
  const program = file.endsWith('.sh') ? 'bash' : process.execPath;
  return passThrough(program, [file, ...args], { env: programEnv(tools) });
});
