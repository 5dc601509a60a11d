import type { ServerResponse } from 'node:http';
import { type Received, type Receiver, startReceiver } from '../../helpers/receiver.ts';

/** A receiver that repeats in its answers what it was told. */
export interface EchoingReceiver {
  port: number;
  secret: string;
  /** URLs that hold a word as their secret, one for each way of answering. */
  urls: string[];
  /** Whether callbacks to a URL are answered as soon as they come. */
  answersAtOnce(url: string): boolean;
  isHeld(url: string): boolean;
  /** Answers what is held; what comes later, at once. */
  release(): void;
  received(): number;
  stop(): Promise<void>;
}

type Answer = (response: ServerResponse, echo: string) => void;

const HELD = '/held';
const HANGS = '/hangs';

export async function startEchoingReceiver(secret: string): Promise<EchoingReceiver> {
  const receiver = await startReceiver();
  const released = Promise.withResolvers<void>();
  const answers: Record<string, Answer> = {
    ...answersWith(secret),
    [HELD]: (response, echo) => {
      released.promise.then(() => response.writeHead(500).end(echo));
    },
  };
  const urls = Object.entries(answers).map(([path, answer]) =>
    listen(receiver, { path, secret, answer }),
  );
  const isAt = (path: string, url: string) => url.startsWith(receiver.url(path));
  return {
    ...{ port: receiver.port, secret, urls },
    answersAtOnce: (url) => !isAt(HELD, url) && !isAt(HANGS, url),
    isHeld: (url) => isAt(HELD, url),
    release: () => released.resolve(),
    received: () => receiver.all().length,
    stop: () => receiver.stop(),
  };
}

function answersWith(secret: string): Record<string, Answer> {
  return {
    '/good': (response, echo) => response.writeHead(200).end(echo),
    '/500': (response, echo) => response.writeHead(500, secret).end(echo),
    '/429': (response, echo) => response.writeHead(429, { 'retry-after': '3600' }).end(echo),
    '/503': (response, echo) => response.writeHead(503, { 'retry-after': secret }).end(echo),
    '/302': (response, echo) => response.writeHead(302, { location: `/${secret}` }).end(echo),
    '/410': (response, echo) => response.writeHead(410).end(echo),
    '/no-http': (response, echo) => response.socket?.end(`${secret} ${echo}\r\n\r\n`),
    '/closes': (response) => response.destroy(),
    [HANGS]: () => undefined,
  };
}

interface Listening {
  path: string;
  secret: string;
  answer: Answer;
}

function listen(receiver: Receiver, { path, secret, answer }: Listening): string {
  const full = `${path}/${secret}?token=${secret}`;
  receiver.on(full, (response, _, received) => answer(response, echoOf(received)));
  return receiver.url(full);
}

/** What the caller gave of it comes first, since not all of an answer is kept. */
function echoOf({ body }: Received): string {
  const { data } = JSON.parse(body);
  return JSON.stringify([data.metadata, data]);
}
