import { parentPort } from 'node:worker_threads';
import { buildConsole } from './build.ts';

parentPort?.postMessage(await buildConsole());
