import { globSync } from 'node:fs';
import { passThrough, programEnv, runQuietly } from '../setup/command.mjs';
import { ROOT } from '../setup/paths.mjs';

const TESTS = 'tests/{unit,contract,integration,browser,chaos}/**/*.test.ts';

// Files at once. Two whose engines are busy load both cores of a small machine.
const TEST_FILES_AT_ONCE = 2;
// These load them little: they wait for locks that run out and for services that are away. They run
// beside the others, one after the other.
const PATIENT = ['planner-killed', 'storage-s3', 'redis-groups', 'faults-abuse'].map(
  (name) => `tests/integration/${name}.test.ts`,
);
const TEST_TIMEOUT_MS = 300_000;

const TSC = ['node_modules/typescript/bin/tsc', '--noEmit'];
/** @type {Record<string, string[][]>} each runs with Node and prints what it found */
const CHECKS = {
  // What runs in a browser knows its names, and what runs in Node does not.
  types: [TSC, [...TSC, '-p', 'apps/console']],
  lint: [['node_modules/@biomejs/biome/bin/biome', 'check', '.']],
  'dead-code': [['node_modules/knip/bin/knip.js', '--no-progress', '--no-config-hints']],
};
const FORMAT = ['node_modules/@biomejs/biome/bin/biome', 'check', '--write', '.'];

/**
 * @typedef {import('../setup/command.mjs').Tools} Tools
 * @typedef {{ fix: true } | { checks: string[], tests: string[] }} Gate
 * @param {string[]} args
 * @returns {Gate | null} null when they make no sense
 */
export function parseGate(args) {
  const [option, name = '', ...rest] = args;
  if (option === undefined) return { checks: Object.keys(CHECKS), tests: allTests() };
  if (option === '--fix') return args.length === 1 ? { fix: true } : null;
  if (option !== '--only') return args.some((a) => a.startsWith('-')) ? null : onlyTests(args);
  if (rest.length > 0) return null;
  if (name === 'tests') return onlyTests(allTests());
  return Object.hasOwn(CHECKS, name) ? { checks: [name], tests: [] } : null;
}

/** @param {string[]} tests */
function onlyTests(tests) {
  return { checks: [], tests };
}

function allTests() {
  return globSync(TESTS, { cwd: ROOT }).sort();
}

/**
 * Runs every step, also after one that failed, and ends with one line for each.
 * @param {Gate} gate
 * @param {Tools} tools
 * @returns {Promise<number>} exit code
 */
export async function runGate(gate, tools) {
  if ('fix' in gate) return passThrough(process.execPath, FORMAT, { env: process.env });
  const results = [];
  for (const name of gate.checks) results.push(await timed(name, () => check(name)));
  if (gate.tests.length > 0) {
    results.push(await timed('tests', () => runTests(gate.tests, tools)));
  }
  for (const { name, ok, seconds } of results) {
    console.log(`${ok ? '✔' : '✖'} ${name} ${ok ? 'passed' : 'FAILED'} (${seconds} s)`);
  }
  return results.every(({ ok }) => ok) ? 0 : 1;
}

/**
 * @param {string} name
 * @param {() => Promise<boolean>} step
 */
async function timed(name, step) {
  const start = performance.now();
  const ok = await step();
  return { name, ok, seconds: ((performance.now() - start) / 1000).toFixed(1) };
}

/** @param {string} name */
async function check(name) {
  console.log(`— ${name}`);
  const runs = (CHECKS[name] ?? []).map((args) =>
    runQuietly(process.execPath, args, { cwd: ROOT }),
  );
  const results = await Promise.all(runs);
  for (const { ok, output } of results) if (!ok) console.log(output);
  return results.every(({ ok }) => ok);
}

/**
 * @param {string[]} files
 * @param {Tools} tools
 */
async function runTests(files, tools) {
  console.log('— tests');
  if (files.some((file) => file.includes('browser'))) {
    console.log(`Tests of the console: ${tools.chromium ?? 'skipped, there is no Chromium'}`);
  }
  const env = programEnv(tools);
  const patient = files.filter((file) => PATIENT.includes(file));
  const others = files.filter((file) => !PATIENT.includes(file));
  if (patient.length === 0 || others.length === 0) {
    return (await passThrough(process.execPath, testArgs(files), { env })) === 0;
  }
  const options = { cwd: ROOT, env, forwards: true };
  const beside = runQuietly(process.execPath, testArgs(patient, 1), options);
  const code = await passThrough(process.execPath, testArgs(others), { env });
  const { ok, output } = await beside;
  console.log(output);
  return code === 0 && ok;
}

/** @param {string[]} files */
function testArgs(files, atOnce = TEST_FILES_AT_ONCE) {
  return ['--test', `--test-concurrency=${atOnce}`, `--test-timeout=${TEST_TIMEOUT_MS}`, ...files];
}
