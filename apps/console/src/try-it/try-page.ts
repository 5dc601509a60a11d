import type { Job, JobRequest, Model } from '@headrace/client';
import { useState } from 'preact/hooks';
import { Button } from '../elements/button.ts';
import { CodeTabs } from '../elements/code.ts';
import { Field, fieldValue, SelectField } from '../elements/field.ts';
import { ErrorNotice } from '../elements/notice.ts';
import { Empty, Loading, Page, Panel } from '../elements/panel.ts';
import { hrefOf, type Route, replaceRoute } from '../route.ts';
import { api } from '../session/session.ts';
import { useAction } from '../session/use-action.ts';
import { useResource } from '../session/use-resource.ts';
import { h, html } from '../ui.ts';
import { Answer } from './answer.ts';
import { defaultOptions, OptionFields, parametersOf, type TryOptions } from './options.ts';
import { samplesOf } from './samples.ts';

/** One text to a model, and all that is known of its answer. */
export function TryPage({ route }: { route: Route }) {
  const models = useResource({
    key: 'models',
    load: (signal) => api().models.list({ signal, maxRetries: 0 }),
  });
  const wanted = route.query.get('model');
  const all = models.data ?? [];
  const model =
    all.find(({ id }) => id === wanted) ?? all.find((each) => each.default) ?? all[0] ?? null;
  return h(Page, {
    title: 'Try it',
    lead: 'One text to a model: its answer, and where the time went.',
    children: [
      h(ErrorNotice, { error: models.error, what: 'The models could not be read' }),
      model === null
        ? models.data === null
          ? h(Loading, { lines: 8 })
          : h(Empty, { title: 'No model is served.' })
        : h(TryForm, { model, models: all, key: model.id }),
    ],
  });
}

interface Tried {
  job: Job;
  request: JobRequest;
}

function TryForm({ model, models }: { model: Model; models: Model[] }) {
  const [text, setText] = useState(kept.text);
  const [pair, setPair] = useState(kept.pair);
  const [options, setOptions] = useState<TryOptions>(defaultOptions(model));
  const [tried, setTried] = useState<Tried | null>(null);
  const request = requestOf({ model, text, pair, options });
  const action = useAction<JobRequest>(async (given, signal) => {
    const { id } = await api().jobs.submit(given, { signal, maxRetries: 1 });
    setTried({ job: await api().jobs.wait(id, { signal }), request: given });
  });
  const submit = (event?: Event) => {
    event?.preventDefault();
    action.run(request);
  };
  const submitByKey = (event: KeyboardEvent) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) submit(event);
  };
  const textArea = (label: string, value: string, change: (text: string) => void) =>
    h(Field, {
      label,
      children: (id) => html`<textarea
        id=${id}
        dir="auto"
        spellcheck="false"
        placeholder="The delivery was late."
        value=${value}
        onInput=${(event: Event) => change(fieldValue(event))}
        onKeyDown=${submitByKey}
      ></textarea>`,
    });
  const choices = models.map(({ id, task }) => ({ value: id, label: `${id} · ${task}` }));
  const form = html`<form class="form" onSubmit=${submit}>
    ${h(SelectField, {
      label: 'Model',
      value: model.id,
      options: choices,
      onChange: (id) => replaceRoute(hrefOf(['try'], { model: id })),
      hint: model.description,
    })}
    ${textArea('Text', text, (value) => {
      kept.text = value;
      setText(value);
    })}
    ${
      model.pairs &&
      textArea('Second text', pair, (value) => {
        kept.pair = value;
        setPair(value);
      })
    }
    ${h(OptionFields, { model, options, onChange: setOptions })}
    <div class="row">
      ${h(Button, { kind: 'primary', submit: true, busy: action.running, children: 'Run' })}
      <span class="muted small-text">Ctrl + Enter</span>
      <span class="hidden-text" role="status">${action.running ? 'Running' : tried ? 'Answered' : ''}</span>
    </div>
    ${h(ErrorNotice, { error: action.error, what: 'It was not run' })}
  </form>`;
  return html`<div class="columns">
    <div class="stack">
      ${h(Panel, { title: 'Input', children: form })}
      ${h(Panel, { title: 'The same call', children: h(CodeTabs, { samples: samplesOf(request) }) })}
    </div>
    ${
      tried === null
        ? h(Panel, { title: 'Answer', children: h(Empty, { title: 'Nothing was run yet.' }) })
        : h(Answer, { ...tried, model })
    }
  </div>`;
}

/** What was typed stays when another model or page is looked at. */
const kept = { text: 'Absolutely love this jacket, it fits perfectly.', pair: '' };

interface Asked {
  model: Model;
  text: string;
  pair: string;
  options: TryOptions;
}

function requestOf({ model, text, pair, options }: Asked): JobRequest {
  const parameters = parametersOf(model, options);
  return {
    model: model.id,
    input: model.pairs && pair !== '' ? { text, text_pair: pair } : text,
    ...(Object.keys(parameters).length === 0 ? {} : { parameters }),
  };
}
