import { type Client, ConnectionError, createClient, HeadraceError } from '@headrace/client';

const KEY = 'headrace-key';

/** Why somebody is asked for a key. */
export type SignedOut = 'needed' | 'refused' | 'left';

export interface SessionState {
  /** A key is demanded, and there is none that is good. */
  signedOut: SignedOut | null;
  /** The API does not answer. */
  away: boolean;
  hasKey: boolean;
}

let key = sessionStorage.getItem(KEY);
let state: SessionState = { signedOut: null, away: false, hasKey: key !== null };
let client = newClient();
const listeners = new Set<() => void>();

/** Of the key that is in use now; ask anew for each call. */
export function api(): Client {
  return client;
}

/** The key, for samples that are shown; null where none is in use. */
export function hasKey(): boolean {
  return key !== null;
}

export function sessionState(): SessionState {
  return state;
}

export function onSession(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Kept for this tab, until it is closed. */
export function signIn(given: string): void {
  key = given;
  sessionStorage.setItem(KEY, given);
  client = newClient();
  update({ signedOut: null, hasKey: true });
}

export function signOut(why: SignedOut = 'left'): void {
  key = null;
  sessionStorage.removeItem(KEY);
  client = newClient();
  update({ signedOut: why, hasKey: false });
}

/** What every answer says of the session. @returns the error, to be shown or not */
export function noteFailure(error: unknown): unknown {
  if (error instanceof ConnectionError) update({ away: true });
  else if (error instanceof HeadraceError) {
    update({ away: false });
    if (error.code === 'unauthorized') signOut(key === null ? 'needed' : 'refused');
  }
  return error;
}

export function noteSuccess(): void {
  update({ away: false });
}

function update(change: Partial<SessionState>): void {
  const next = { ...state, ...change };
  const same = next.signedOut === state.signedOut && next.away === state.away;
  if (same && next.hasKey === state.hasKey) return;
  state = next;
  for (const listener of [...listeners]) listener();
}

function newClient(): Client {
  return createClient({
    baseUrl: location.origin,
    ...(key === null ? {} : { apiKey: key }),
  });
}
