// The loop that asks for pictures: small ones while something moves, sharper ones step by step when it rests.
//
// The browser asks and the server answers, one picture at a time, so nothing ever queues up on the way.

import { posted, readJSON, Refused } from "./connection.js";

const COARSE = 0; // follows the movement: as large as the wanted frame rate allows
const HALF = 1;
const FULL = 2;
const FINE = 3; // the same size without aliasing, where pixels are wider than those of the training pictures
const SHARP = 4; // nothing left to ask for
const QUALITY = [95, 92, 100, 100]; // of JPEG; 100 is PNG, the very pixels. Few pixels show every block of a poor JPEG
const REST = 80; // ms without movement until pictures get sharper
const SOON = 250; // ms; a full picture that takes no longer needs no half one before it
const STEADY = 1.25; // a coarse size changes only by more than this factor, or it would flicker
const LOWEST = 32; // pixels of the height
const PAUSE = 0.4; // seconds that a training may stand still for a picture
const LOGGED = 200;

export class Frames {
  constructor(viewer, picture, connection) {
    Object.assign(this, { viewer, picture, connection });
    this.client = crypto.getRandomValues(new Uint32Array(2)).join("-"); // another one in every tab
    this.seq = 0;
    this.level = COARSE;
    this.generation = 0; // of the picture that is wanted
    this.field = 0; // counts the news of the field
    this.movedAt = 0;
    this.rate = 1e5; // pixels a second, measured
    this.coarseHeight = 0;
    this.step = null; // of the field in the last picture
    this.errands = []; // pictures for others, in idle moments
    this.log = []; // of the last pictures shown
    this.wake = () => {};
    viewer.on("moved view", () => this.moved());
    viewer.on("newer", () => this.newer());
    document.addEventListener("visibilitychange", () => this.wake());
    connection.addEventListener("back", () => this.moved());
  }

  get resting() {
    return this.level === SHARP;
  }

  /** Another picture is wanted. A sharp one on its way comes too late; a coarse one is still worth showing. */
  moved() {
    this.generation++;
    this.level = COARSE;
    this.movedAt = performance.now();
    this.finals?.abort();
    this.wake();
  }

  /** The same picture is wanted, of a newer field: once more at full size, if that is where we are. */
  newer() {
    this.field++;
    if (this.level === SHARP) this.level = FULL;
    this.wake();
  }

  /** Have a small picture made when there is nothing better to do; `done` gets its bitmap. */
  errand(body, done) {
    this.errands.push({ body, done });
    this.wake();
  }

  async run() {
    for (;;) {
      const rest = this.movedAt + REST - performance.now();
      if (document.hidden) await this.sleep();
      else if (this.level >= FULL && rest < 0 && this.errands.length) await this.attempt(() => this.runErrand());
      else if (this.level === SHARP) await this.sleep();
      else if (this.level > COARSE && rest > 0) await this.sleep(rest);
      else await this.attempt(() => this.advance());
    }
  }

  sleep(milliseconds = null) {
    return new Promise((resolve) => {
      this.wake = resolve;
      if (milliseconds !== null) setTimeout(resolve, milliseconds);
    });
  }

  /** Do something with the server; where it refuses, say why and rest, where nobody answers, wait for it. */
  async attempt(action) {
    try {
      await action();
    } catch (error) {
      if (error.name === "AbortError") return;
      if (error instanceof Refused) {
        this.level = SHARP;
        this.viewer.emit("refused", error.message);
      } else {
        await this.connection.found();
        await this.sleep(REST);
      }
    }
  }

  /** Ask for one picture of the present level, show it, and go on to the next level if it is still wanted. */
  async advance() {
    const { level, generation, field } = this;
    const view = this.viewer.view !== null && this.viewer.comparing ? this.viewer.view : null;
    const size = this.size(level, view);
    const body = { ...this.request(view), ...size, quality: QUALITY[level], final: level > COARSE, antialias: level === FINE };
    const asked = performance.now();
    const answer = await this.fetch(body);
    if (!answer) return this.sleep(50); // overtaken by a newer question, or given up
    const bitmap = await createImageBitmap(answer.blob, { colorSpaceConversion: "none" });
    if (level !== FINE) this.measure(answer, size, level);
    this.picture.show(bitmap, view);
    this.note({ ...size, level, final: level >= FULL, ms: answer.ms, latency: performance.now() - asked });
    if (generation !== this.generation) return;
    this.level = this.after(level, size, view, answer);
    if (field !== this.field) this.level = Math.min(this.level, FULL); // what came is no longer the newest
  }

  note(entry) {
    this.log.push(entry);
    if (this.log.length > LOGGED) this.log.shift();
    this.viewer.emit("frame", { ...entry, step: this.step });
  }

  after(level, size, view, { aliased }) {
    if (level === HALF) return FULL;
    if (level === FULL && aliased && !this.viewer.training) return FINE; // a training has no time for that
    if (level !== COARSE) return SHARP;
    const full = this.size(FULL, view);
    const soon = (1000 * full.width * full.height) / this.rate < SOON || size.height >= full.height / 2;
    return soon ? FULL : HALF;
  }

  request(view) {
    const { camera, shading, crop, background } = this.viewer;
    const from = view === null ? { pose: camera.pose, fov: camera.fov } : { camera: view };
    return { ...from, shading, crop, background };
  }

  async fetch(body) {
    this.finals = body.final ? new AbortController() : null;
    const compiled = this.viewer.info.ready;
    const question = { ...body, client: this.client, seq: this.seq++ };
    const answer = await fetch("frame", posted(question, this.finals?.signal));
    if (answer.status === 204) {
      if (answer.headers.get("X-Given-Up") === "late") this.rate /= 4; // a training goes on: half the size next time
      return null;
    }
    if (!answer.ok) return readJSON(answer); // throws
    const number = (name) => Number(answer.headers.get(name));
    this.step = number("X-Step");
    const ms = number("X-Render-Ms") + number("X-Encode-Ms");
    return { blob: await answer.blob(), ms, compiled, aliased: answer.headers.has("X-Aliased") };
  }

  /** Learn how fast the server is, but not from a picture that had to wait for a compiler; a training is careful. */
  measure({ ms, compiled }, { width, height }, level) {
    const { training } = this.viewer;
    if (ms <= 0 || !(compiled || training)) return;
    const rate = (1000 * width * height) / ms;
    const weight = training ? (rate < this.rate ? 1 : 0.5) : level === COARSE ? 0.3 : 0.1; // the rate is for movement
    this.rate += weight * (rate - this.rate);
  }

  size(level, view) {
    const full = this.affordable(this.picture.fullSize(view));
    if (level >= FULL) return full;
    if (level === HALF) return shrunk(full, Math.round(full.height / 2));
    const wanted = Math.sqrt((this.rate / this.viewer.fps) * (full.height / full.width));
    const ratio = wanted / this.coarseHeight;
    if (!(ratio < STEADY && ratio > 1 / STEADY)) this.coarseHeight = wanted;
    return shrunk(full, Math.max(LOWEST, 8 * Math.round(this.coarseHeight / 8)));
  }

  /** The same size, or the largest one of this shape that does not hold up a training for long. */
  affordable(full) {
    if (!this.viewer.training) return full;
    return shrunk(full, Math.max(LOWEST, Math.round(Math.sqrt(this.rate * PAUSE * (full.height / full.width)))));
  }

  async runErrand() {
    const { body, done } = this.errands[0]; // it stays there if a movement interrupts it
    const { shading, background } = this.viewer;
    const question = { shading, background, crop: null, quality: QUALITY[HALF], final: true, ...body };
    const answer = await this.fetch(question).catch((error) => {
      if (error instanceof Refused) this.errands.shift();
      throw error;
    });
    if (!answer) return this.sleep(50);
    this.errands.shift();
    done(await createImageBitmap(answer.blob));
  }
}

/** A size of the same shape, `height` pixels high, but never larger. */
function shrunk(full, height) {
  if (height >= full.height) return full;
  return { width: Math.max(1, Math.round((full.width * height) / full.height)), height };
}
