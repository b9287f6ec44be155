/** The page's element with an id. */
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found as T;
}

/** Makes an element; text is inserted as text, with any content. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  given: { readonly class?: string; readonly text?: string } = {},
  ...children: readonly HTMLElement[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (given.class !== undefined) element.className = given.class;
  if (given.text !== undefined) element.textContent = given.text;
  element.append(...children);
  return element;
}

/** Sets a text only if it differs, so that nothing is laid out or read again. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** The same for a `data-` attribute. */
export function setData(element: HTMLElement, name: string, value: string): void {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}

const slots = new Map<string, Element>();

/** Fills the place marked with `data-text` in the page. */
export function fill(slot: string, text: string): void {
  let element = slots.get(slot);
  if (element === undefined) {
    const found = document.querySelector(`[data-text="${slot}"]`);
    if (found === null) throw new Error(`the page has no place for ${slot}`);
    element = found;
    slots.set(slot, element);
  }
  setText(element, text);
}
