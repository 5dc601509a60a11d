import { connect, createServer, type Socket } from 'node:net';

export interface TcpSwitch {
  port: number;
  /** Where new connections go from now on; those that are open stay where they are. */
  target: number;
  /** Nothing is forwarded any more, in either direction; nothing is closed. */
  hold(): void;
  /** Forwards again, and first what came meanwhile. */
  release(): void;
  stop(): Promise<void>;
}

/** One loopback port in front of several servers, as a name is that moves with the master. */
export async function startTcpSwitch(target: number): Promise<TcpSwitch> {
  /** Each with the one that gets what it says. */
  const sockets = new Map<Socket, Socket>();
  const state = { target };
  let held = false;
  const server = createServer((client) => {
    const upstream = connect(state.target, '127.0.0.1');
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.set(socket, other);
      socket.setNoDelay(true);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      if (!held) socket.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return Object.assign(state, {
    port: address.port,
    hold() {
      held = true;
      for (const socket of sockets.keys()) socket.unpipe().pause();
    },
    release() {
      held = false;
      for (const [socket, other] of sockets) socket.pipe(other);
    },
    stop: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets.keys()) socket.destroy();
      }),
  });
}
