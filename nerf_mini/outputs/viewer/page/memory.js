// What the browser keeps: settings of the visitor for good, places in a run until the tab is closed.

const key = (name, run) => (run ? `nerf-mini ${run} ${name}` : `nerf-mini ${name}`);
const shelf = (run) => (run ? sessionStorage : localStorage);

export function remember(name, value, run = null) {
  try {
    shelf(run).setItem(key(name, run), JSON.stringify(value));
  } catch {
    // a page inside another one may not store anything; it does without
  }
}

export function recall(name, otherwise, run = null) {
  try {
    return JSON.parse(shelf(run).getItem(key(name, run))) ?? otherwise;
  } catch {
    return otherwise;
  }
}
