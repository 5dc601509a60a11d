import htm from 'htm';
import { type ComponentChildren, Fragment, h, type VNode } from 'preact';

const template = htm.bind(h);

/** Markup of plain elements. Components go in as `${h(Component, props)}`, which checks their props. */
export function html(strings: TemplateStringsArray, ...values: unknown[]): VNode {
  const made = template(strings, ...values);
  return Array.isArray(made) ? h(Fragment, {}, made) : made;
}

export type Children = ComponentChildren;
export { h };
