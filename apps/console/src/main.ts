import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Notice } from './elements/notice.ts';
import { Loading } from './elements/panel.ts';
import { PAGES, type PageComponent, type PageName, pageNamed } from './pages.ts';
import { useRoute } from './route.ts';
import { Shell } from './shell.ts';
import { h, html } from './ui.ts';

interface Loaded {
  name: PageName;
  component: PageComponent | null;
}

function App() {
  const route = useRoute();
  const name = pageNamed(route.parts[0]);
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  useEffect(() => {
    let wanted = true;
    PAGES[name].load().then(
      (component) => wanted && setLoaded({ name, component }),
      () => wanted && setLoaded({ name, component: null }),
    );
    return () => {
      wanted = false;
    };
  }, [name]);
  const place = route.parts.join('/');
  const page = loaded?.name === name ? loaded : null;
  return h(Shell, {
    page: name,
    place,
    children: page === null ? h(Loading, { lines: 6 }) : shown(page.component, route, place),
  });
}

function shown(component: PageComponent | null, route: ReturnType<typeof useRoute>, place: string) {
  if (component !== null) return h(component, { route, key: place });
  const reload = html`<button type="button" class="link" onClick=${() => location.reload()}>
    Load it again
  </button>`;
  const title = 'This page could not be fetched: the API was updated, or does not answer.';
  return h(Notice, { tone: 'warn', title, children: reload });
}

const root = document.getElementById('app');
if (root !== null) {
  root.replaceChildren();
  render(h(App, {}), root);
}
