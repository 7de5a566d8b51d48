// Camera paths: keyframes, their way as the server interpolates it, a preview, and files.

import { widened } from "./camera.js";
import { bindCheck, byId, copy, make } from "./controls.js";
import { recall, remember } from "./memory.js";

const THUMB = 72; // pixels, the long side
const NAME = /^[A-Za-z0-9_-]{1,40}$/;
const NUMBERS = { seconds: "path-seconds", frames_per_second: "path-fps", width: "path-width", height: "path-height" };

export class Paths {
  constructor(viewer, overlay, frames, connection) {
    Object.assign(this, { viewer, overlay, frames, connection, keyframes: [], thumbs: new Map(), way: null });
    byId("path-section").hidden = !viewer.info.paths;
    if (!viewer.info.paths) return;
    this.settings = { seconds: 6, frames_per_second: 30, width: 640, height: 360, loop: false };
    const kept = recall("path", null, viewer.info.run);
    byId("path-section").addEventListener("toggle", () => this.show());
    byId("keyframe-add").addEventListener("click", () => this.add());
    byId("path-play").addEventListener("click", () => this.play());
    byId("path-save").addEventListener("submit", (event) => this.save(event));
    byId("path-load").addEventListener("change", (event) => this.load(event.target.value));
    byId("path-copy").addEventListener("click", () => this.copyCommand());
    bindCheck(byId("path-loop"), false, (loop) => this.set({ loop }));
    for (const [name, id] of Object.entries(NUMBERS))
      byId(id).addEventListener("change", ({ target }) => this.set({ [name]: Number(target.value) || this.settings[name] }));
    if (kept) Object.assign(this, { keyframes: kept.keyframes, settings: { ...this.settings, ...kept.settings } });
    this.changed();
    this.list();
  }

  get aspect() {
    return this.settings.width / this.settings.height;
  }

  /** How much higher the window is than the video's picture in it. */
  get ratio() {
    return Math.max(1, this.aspect / this.viewer.aspect);
  }

  set(values) {
    Object.assign(this.settings, values);
    this.changed();
  }

  /** The view as the video will show it: what lies inside the guide. */
  add() {
    if (!this.viewer.info.paths) return;
    byId("path-section").open = true;
    const { pose, fov } = this.viewer.camera;
    this.keyframes.push({ pose, fov: widened(fov, 1 / this.ratio) });
    this.changed();
  }

  go(keyframe) {
    this.viewer.fly(keyframe.pose, Math.min(widened(keyframe.fov, this.ratio), 3));
  }

  shift(i, by) {
    const [keyframe] = this.keyframes.splice(i, 1);
    if (by) this.keyframes.splice(i + by, 0, keyframe);
    this.changed();
    const rows = byId("keyframes").children;
    rows[Math.min(by ? i + by : i, rows.length - 1)]?.querySelector("button").focus();
  }

  /** Show the keyframes and settings as they are now, and ask for the way between them. */
  async changed() {
    const { keyframes, settings } = this;
    remember("path", { keyframes, settings }, this.viewer.info.run);
    byId("keyframes").replaceChildren(...keyframes.map((keyframe, i) => this.row(keyframe, i)));
    for (const [name, id] of Object.entries(NUMBERS)) byId(id).value = settings[name];
    byId("path-loop").checked = settings.loop;
    byId("path-hint").hidden = keyframes.length > 1;
    byId("path-play").disabled = byId("path-save-button").disabled = keyframes.length < 2;
    byId("path-done").hidden = true;
    this.way = null;
    const edit = (this.edit = {});
    this.show();
    if (keyframes.length < 2) return;
    const { loop, seconds, frames_per_second } = settings;
    const way = await this.ask("path", { keyframes, loop, seconds, frames_per_second });
    if (edit !== this.edit) return; // an answer to an earlier state, which came late
    this.way = way;
    this.show();
  }

  row(keyframe, i) {
    const button = (label, text, action, disabled = false) => {
      const element = make("button", { type: "button", textContent: text, title: label, disabled, className: "quiet" });
      element.setAttribute("aria-label", `${label} ${i + 1}`);
      element.addEventListener("click", action);
      return element;
    };
    const go = button("Go to keyframe", "", () => this.go(keyframe));
    go.className = "thumb";
    go.append(this.thumb(keyframe), make("span", { textContent: i + 1 }));
    const up = button("Move up keyframe", "↑", () => this.shift(i, -1), i === 0);
    const down = button("Move down keyframe", "↓", () => this.shift(i, 1), i === this.keyframes.length - 1);
    return make("li", {}, go, up, down, button("Delete keyframe", "×", () => this.shift(i, 0)));
  }

  /** A small picture of a keyframe, made when nothing else is to be rendered. */
  thumb({ pose, fov }) {
    const key = JSON.stringify([pose, fov, this.aspect]);
    if (!this.thumbs.has(key)) {
      const [width, height] = this.aspect > 1 ? [THUMB, Math.round(THUMB / this.aspect)] : [Math.round(THUMB * this.aspect), THUMB];
      const canvas = make("canvas", { width, height });
      this.thumbs.set(key, canvas);
      this.frames.errand({ pose, fov, width, height, shading: "color" }, (bitmap) => canvas.getContext("2d").drawImage(bitmap, 0, 0));
    }
    return this.thumbs.get(key);
  }

  show() {
    const shown = byId("path-section").open && this.keyframes.length > 0;
    const poses = this.way?.poses ?? [];
    const closed = this.settings.loop && poses.length ? [...poses, poses[0]] : poses;
    this.overlay.path = { keyframes: this.keyframes, poses: closed, shown, aspect: this.aspect };
    this.overlay.redraw();
  }

  /** Fly along the way in its own time, or stop doing so. */
  play() {
    const { viewer, way } = this;
    if (viewer.playing) return viewer.stop();
    if (!way?.poses.length) return;
    const { seconds, loop } = this.settings;
    const frames = way.poses.length;
    viewer.leave();
    viewer.move((time) => {
      const ended = time >= seconds && !loop;
      const frame = ended ? frames - 1 : Math.floor((frames * (time % seconds)) / seconds);
      viewer.camera.place(way.poses[frame], Math.min(widened(way.fov[frame], this.ratio), 3));
      return !ended;
    }, () => this.playing(false));
    this.playing(true);
  }

  playing(on) {
    this.viewer.playing = on;
    byId("path-play").textContent = on ? "Stop" : "Play";
    this.overlay.redraw();
  }

  async save(event) {
    event.preventDefault();
    const name = byId("path-name").value.trim();
    if (!NAME.test(name)) return this.viewer.emit("refused", "A path's name is made of letters, digits, _ and -, 40 at most.");
    const answer = await this.ask(`paths/${name}`, { keyframes: this.keyframes, ...this.settings, name });
    if (!answer) return;
    byId("path-done").hidden = false;
    byId("path-file").textContent = answer.file;
    byId("path-command").textContent = answer.command;
    this.list(name);
  }

  async load(name) {
    const path = name && (await this.ask(`paths/${name}`));
    if (!path) return;
    const { keyframes, loop, seconds, frames_per_second, width, height } = path;
    this.keyframes = keyframes;
    this.settings = { loop, seconds, frames_per_second, width, height };
    byId("path-name").value = name;
    this.changed();
  }

  async list(chosen = "") {
    const answer = await this.ask("paths");
    const names = answer?.names ?? [];
    byId("path-load").replaceChildren(new Option("Open…", ""), ...names.map((name) => new Option(name, name)));
    byId("path-load").value = chosen;
    byId("path-load").disabled = !names.length;
  }

  async copyCommand() {
    if (await copy(byId("path-command"))) byId("path-copy").textContent = "Copied";
    setTimeout(() => (byId("path-copy").textContent = "Copy"), 1500);
  }

  /** An answer, or null and a sentence for the visitor. */
  async ask(address, body = undefined) {
    try {
      return await this.connection.ask(address, body);
    } catch (error) {
      this.viewer.emit("refused", error.message);
      return null;
    }
  }
}
