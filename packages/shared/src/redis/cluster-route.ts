import { connect } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { AbstractConnector, type RedisOptions } from 'ioredis';

export interface Place {
  host: string;
  port: number;
}

export interface ClusterRoute {
  /** Opens the connections of one client and of its duplicates. */
  Connector: NonNullable<RedisOptions['Connector']>;
  /** Whether an error names another node; the next connection goes to that. */
  follow(message: string): boolean;
}

const MOVED = /^MOVED \d+ (.*):(\d+)$/;
const DISCONNECT_TIMEOUT_MS = 2_000;

/**
 * The way to the one node of a Redis Cluster that has our slot. All keys of Headrace are in one, so
 * that a connection to its node is all there is to a cluster: every other node names it.
 */
export function createClusterRoute(
  seeds: readonly [Place, ...Place[]],
  tls: ConnectionOptions | undefined,
): ClusterRoute {
  let owner: Place | null = null;
  let ownerFails = false;
  let seed = 0;
  let asked: Place = seeds[0];

  /** The node that had the slot last; when it does not answer, one that may know a newer. */
  function next(): Place {
    if (owner !== null && !ownerFails) {
      ownerFails = true;
      asked = owner;
    } else {
      ownerFails = false;
      seed += 1;
      asked = seeds[seed % seeds.length] ?? seeds[0];
    }
    return asked;
  }

  class ClusterConnector extends AbstractConnector {
    constructor() {
      super(DISCONNECT_TIMEOUT_MS);
    }

    override async connect() {
      this.connecting = true;
      const place = next();
      const stream = tls ? connectTls({ ...place, ...tls }) : connect(place);
      stream.once(tls ? 'secureConnect' : 'connect', () => {
        if (place === owner) ownerFails = false;
      });
      stream.once('error', (error) => {
        this.firstError = error;
      });
      this.stream = stream;
      return stream;
    }
  }

  return {
    Connector: ClusterConnector,
    follow(message) {
      const [, named, port] = MOVED.exec(message) ?? [];
      if (named === undefined) return false;
      // A node that does not know its own name leaves it out: the host is the one that was asked.
      const host = named === '' ? asked.host : named;
      if (owner?.host !== host || owner.port !== Number(port)) owner = { host, port: Number(port) };
      ownerFails = false;
      return true;
    },
  };
}
