import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type ProcessesResult, scaleProcesses } from './processes.ts';
import { readScaledObject } from './scaled-object.ts';

const USAGE = `npm run bench:scaling -- [--processes [--way lists|work] [--jobs 50000] [--clock 5]]`;
const FILES = { lists: 'scaled-object-redis.yaml', work: 'scaled-object.yaml' };

const options = readArguments();
const object = readScaledObject(
  fileURLToPath(new URL(`../../k8s/${FILES[options.way]}`, import.meta.url)),
);
const result = await scaleProcesses({ ...options, object, say: (line) => console.error(line) });
console.log(render(result));
process.exit(0);

function render({ samples: _, ...result }: ProcessesResult): string {
  return JSON.stringify(result, null, 1);
}

function readArguments() {
  const { values } = parseArgs({
    options: {
      processes: { type: 'boolean', default: false },
      way: { type: 'string', default: 'work' },
      jobs: { type: 'string', default: '50000' },
      clock: { type: 'string', default: '5' },
      cells: { type: 'string', default: '1500' },
    },
  });
  if (values.way !== 'lists' && values.way !== 'work') throw new Error(USAGE);
  return {
    way: values.way,
    jobs: Number(values.jobs),
    clock: Number(values.clock),
    cellsPerS: Number(values.cells),
    tricklePerS: 150,
    trickleS: 90,
  } as const;
}
