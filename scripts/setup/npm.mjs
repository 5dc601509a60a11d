import { runQuietly } from './command.mjs';
import { ROOT } from './paths.mjs';
import { SetupError } from './setup-error.mjs';

/**
 * Runs npm without install scripts; shows what it said only when it fails.
 * @param {string[]} args
 */
export async function runNpm(args) {
  // Under `npm start`, npm says which npm and which Node it is: with these two it always fits.
  const { npm_execpath: cli, npm_node_execpath: node } = process.env;
  const [file, first] = cli?.endsWith('.js') && node ? [node, [cli]] : ['npm', []];
  const quiet = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  // ONNX Runtime's install script would download CUDA libraries; the CPU build is in the package.
  const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' };
  const { ok, output } = await runQuietly(file, [...first, ...args, ...quiet], { cwd: ROOT, env });
  if (!ok) throw new SetupError(`\`npm ${args.join(' ')}\` failed:\n${output.trim()}`);
}
