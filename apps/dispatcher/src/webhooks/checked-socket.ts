import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import {
  hostOf,
  isAllowedFor,
  portOf,
  type ReceiverRules,
} from '@headrace/shared/webhooks/receiver-rules.ts';
import { CallbackError } from './callback-error.ts';
import type { ResolveHost } from './resolve-host.ts';

interface SocketOptions {
  rules: ReceiverRules;
  resolve: ResolveHost;
  signal: AbortSignal;
}

/** More addresses are not tried: a name may have thousands. */
const MAX_TRIED = 4;
const TRY_MS = 3_000;

/**
 * A socket to a receiver, for https with TLS in place. Nothing resolves a name after the check: the
 * connection goes to a checked address, and its other end is checked again before any byte is sent.
 * @throws CallbackError
 */
export async function openCheckedSocket(url: URL, options: SocketOptions): Promise<Socket> {
  const addresses = await checkedAddresses(url, options);
  const socket = await connectAny(addresses, url, options);
  if (url.protocol === 'http:') return socket;
  return secure(socket, hostOf(url), options.signal);
}

/** One address that is not allowed refuses all: no honest receiver is inside and outside. */
async function checkedAddresses(url: URL, options: SocketOptions): Promise<string[]> {
  const host = hostOf(url);
  const addresses = isIP(host) === 0 ? await resolved(host, options) : [host];
  if (!addresses.every((address) => isAllowedFor(host, address, options.rules))) {
    throw new CallbackError('address_not_allowed', 'the host resolves to an inside address');
  }
  return addresses;
}

async function resolved(host: string, { resolve, signal }: SocketOptions): Promise<string[]> {
  const addresses = await untilAborted(resolve(host, signal), signal).catch((error: unknown) => {
    signal.throwIfAborted();
    throw new CallbackError('dns_failed', 'the host could not be resolved', error);
  });
  if (addresses.length > 0) return addresses;
  throw new CallbackError('dns_failed', 'the host has no address');
}

async function connectAny(
  addresses: string[],
  url: URL,
  { rules, signal }: SocketOptions,
): Promise<Socket> {
  let failure: unknown;
  // IPv4 first: where there is no IPv6, its addresses may take long to fail.
  const tried = addresses.toSorted((a, b) => isIP(a) - isIP(b)).slice(0, MAX_TRIED);
  for (const address of tried) {
    try {
      const socket = await connected(address, portOf(url), signal);
      const remote = socket.remoteAddress;
      if (remote !== undefined && isAllowedFor(hostOf(url), remote, rules)) return socket;
      socket.destroy();
      // The other end has closed already, so there is nothing to check, and nothing to send to.
      if (remote === undefined) throw new Error('the connection was closed');
      throw new CallbackError('address_not_allowed', 'the connection leads to an inside address');
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof CallbackError) throw error;
      failure = error;
    }
  }
  throw new CallbackError('connect_failed', 'the receiver does not take connections', failure);
}

function connected(address: string, port: number, signal: AbortSignal): Promise<Socket> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TRY_MS)]);
  const socket = connect({ host: address, port });
  return opened(socket, 'connect', limit);
}

/** TLS to the name of the URL, verified whatever the environment says. */
async function secure(plain: Socket, host: string, signal: AbortSignal): Promise<Socket> {
  const servername = isIP(host) === 0 ? host : undefined;
  const socket = connectTls({
    ...{ socket: plain, host, servername, ALPNProtocols: ['http/1.1'] },
    rejectUnauthorized: true,
  });
  try {
    return await opened(socket, 'secureConnect', signal);
  } catch (error) {
    signal.throwIfAborted();
    throw new CallbackError('tls_failed', 'TLS could not be agreed on, or trusted', error);
  }
}

/** Settles at the first of: the event, an error, the end, the signal; destroyed unless it is open. */
function opened(socket: Socket, event: string, signal: AbortSignal): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const abort = () => reject(signal.reason);
  const close = () => reject(new Error('the connection was closed'));
  socket.once(event, () => resolve(socket));
  socket.on('error', reject);
  socket.once('close', close);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  return promise
    .catch((error: unknown) => {
      socket.destroy();
      throw error;
    })
    .finally(() => {
      signal.removeEventListener('abort', abort);
      socket.off('close', close);
    });
}

function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  if (signal.aborted) abort();
  signal.addEventListener('abort', abort, { once: true });
  return Promise.race([promise, aborted]).finally(() => signal.removeEventListener('abort', abort));
}
