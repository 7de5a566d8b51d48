// The server: questions with answers in JSON, news as they come, and patience when it is away.

const DELAYS = [0.3, 0.7, 1.5, 3, 5, 8]; // seconds between attempts to find a lost server again

/** The server's answer was a sentence that says why not. */
export class Refused extends Error {}

export class Connection extends EventTarget {
  constructor(info) {
    super();
    this.info = info;
    this.lost = false;
    this.failures = 0; // of the stream of news, in a row
    this.source = null;
    document.addEventListener("visibilitychange", () => this.listen());
    this.listen();
  }

  /** Ask for JSON; with a body, by POST. Throws Refused, or what `fetch` throws where nobody answers. */
  async ask(path, body = undefined) {
    const answer = await fetch(path, posted(body));
    return readJSON(answer);
  }

  /** Open the stream of news; a hidden tab does without, for browsers count connections. */
  listen() {
    this.source?.close();
    this.source = null;
    if (document.hidden || this.lost) return;
    this.source = new EventSource("events");
    this.source.onmessage = (message) => {
      this.failures = 0;
      this.dispatchEvent(new CustomEvent("news", { detail: JSON.parse(message.data) }));
    };
    this.source.onerror = () => {
      this.source?.close();
      const wait = DELAYS[Math.min(this.failures++, DELAYS.length - 1)];
      this.found().then(() => setTimeout(() => this.listen(), 1000 * wait));
    };
  }

  /** Resolves as soon as the server answers: at once, or after attempts that are farther and farther apart. */
  found() {
    this.search ??= this.seek().finally(() => (this.search = null));
    return this.search;
  }

  async seek() {
    for (let attempt = 0; ; attempt++) {
      const info = await loadInfo().catch(() => null);
      if (info) return this.welcome(info);
      this.lost = true;
      const seconds = DELAYS[Math.min(attempt, DELAYS.length - 1)];
      this.dispatchEvent(new CustomEvent("lost", { detail: seconds }));
      await new Promise((resolve) => {
        this.hurry = resolve;
        setTimeout(resolve, 1000 * seconds);
      });
    }
  }

  /** The server is there; if it shows something else than before, so does the page. */
  welcome(info) {
    const facts = ({ run, version, cameras }) => JSON.stringify([run, version, cameras]);
    if (facts(info) !== facts(this.info)) return location.reload();
    if (!this.lost) return;
    this.lost = false;
    this.dispatchEvent(new CustomEvent("back", { detail: info }));
    this.listen();
  }
}

export const loadInfo = async () => readJSON(await fetch("info"));

export const posted = (body, signal = undefined) =>
  body === undefined
    ? { signal }
    : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal };

export async function readJSON(answer) {
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(content.error ?? `The server answered ${answer.status}.`);
  return content;
}

/** A picture of the data set; the server may need a while to read it first. Throws Refused where there is none. */
export async function fetchPicture(path) {
  for (;;) {
    const answer = await fetch(path);
    if (answer.ok) return createImageBitmap(await answer.blob());
    if (answer.status !== 503) throw new Refused(`There is no picture at ${path}.`);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}
