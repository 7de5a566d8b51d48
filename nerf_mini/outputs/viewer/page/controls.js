// Controls of the panel, bound to values of the viewer.

export const byId = (id) => document.getElementById(id);

/** A new element with properties, and others in it. */
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** A slider with its value in words beside it; gives a function that shows another value. */
export function bindRange(input, value, words, changed) {
  const output = input.parentElement.querySelector("output");
  const show = (x) => {
    input.value = x;
    const share = (input.value - input.min) / (input.max - input.min || 1);
    input.style.setProperty("--fill", `${100 * share}%`);
    output.textContent = words(Number(input.value));
    input.setAttribute("aria-valuetext", output.textContent);
  };
  input.addEventListener("input", () => {
    show(input.value);
    changed(Number(input.value));
  });
  show(value);
  return show;
}

export function bindCheck(input, value, changed) {
  input.checked = value;
  input.addEventListener("change", () => changed(input.checked));
}

export const hex = (color) => `#${color.map((x) => Math.round(255 * x).toString(16).padStart(2, "0")).join("")}`;
export const fromHex = (text) => [1, 3, 5].map((i) => parseInt(text.slice(i, i + 2), 16) / 255);

/** Copy text, where the browser allows it; else select it, so that the visitor can. */
export async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
    return true;
  } catch {
    getSelection().selectAllChildren(element);
    return false;
  }
}
