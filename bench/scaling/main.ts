import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type ProcessesResult, scaleProcesses } from './processes.ts';
import { readScaledObject, SCALED_OBJECTS } from './scaled-object.ts';
import { compareRules, compareTargets } from './simulation.ts';
import { writeTraces } from './traces.ts';

const USAGE = `npm run bench:scaling -- [--traces | --processes [--way lists|work] [--jobs 50000]
  [--clock 5] [--cells 1500] [--trickle 600] [--out FILE]]`;

const options = readArguments();
if (options.processes) await runProcesses();
else if (options.traces) writeTraces();
else console.log(`${compareRules()}\n\n${compareTargets()}`);
process.exit(0);

async function runProcesses(): Promise<void> {
  const object = readScaledObject(SCALED_OBJECTS[options.way]);
  const result = await scaleProcesses({ ...options, object, say: (line) => console.error(line) });
  if (options.out !== undefined) writeFileSync(options.out, JSON.stringify(result.samples));
  console.log(render(result));
}

function render({ samples: _, ...result }: ProcessesResult): string {
  return JSON.stringify(result, null, 1);
}

function readArguments() {
  const { values } = parseArgs({
    options: {
      processes: { type: 'boolean', default: false },
      traces: { type: 'boolean', default: false },
      way: { type: 'string', default: 'work' },
      jobs: { type: 'string', default: '50000' },
      clock: { type: 'string', default: '5' },
      trickle: { type: 'string', default: '600' },
      out: { type: 'string' },
      cells: { type: 'string', default: '1500' },
    },
  });
  if (values.way !== 'lists' && values.way !== 'work') throw new Error(USAGE);
  return {
    processes: values.processes,
    traces: values.traces,
    way: values.way,
    out: values.out,
    jobs: Number(values.jobs),
    clock: Number(values.clock),
    cellsPerS: Number(values.cells),
    tricklePerS: Number(values.trickle),
    trickleS: 90,
  } as const;
}
