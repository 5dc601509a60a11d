import { useEffect, useState } from 'preact/hooks';

/** Where the console is: `#/jobs/job_1?status=failed`. */
export interface Route {
  /** `['jobs', 'job_1']` */
  parts: string[];
  query: URLSearchParams;
}

/** Of an address; what is no path of ours gives no parts. */
function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?', 2);
  const parts = path.split('/').filter((part) => part !== '');
  return { parts: parts.map(decoded), query: new URLSearchParams(query) };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

type Query = Record<string, string | null | undefined>;

/** The address of a place; what is null or empty is left out. */
export function hrefOf(parts: string[], query: Query = {}): string {
  const given = Object.entries(query).flatMap(([name, value]) => (value ? [[name, value]] : []));
  const search = new URLSearchParams(given).toString();
  return `#/${parts.map(encodeURIComponent).join('/')}${search === '' ? '' : `?${search}`}`;
}

export function goTo(href: string): void {
  location.hash = href.slice(1);
}

/** Without a step in the history: a filter that is typed, a choice that the page makes itself. */
export function replaceRoute(href: string): void {
  history.replaceState(null, '', href);
  dispatchEvent(new HashChangeEvent('hashchange'));
}

export function useRoute(): Route {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const change = () => setHash(location.hash);
    addEventListener('hashchange', change);
    return () => removeEventListener('hashchange', change);
  }, []);
  return parseRoute(hash);
}
