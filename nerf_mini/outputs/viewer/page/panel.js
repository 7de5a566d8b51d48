// The panel's own parts: what is shown, how large, on which colour; folding, theme, full screen, the list of keys.

import { bindCheck, bindRange, byId, fromHex, hex, make } from "./controls.js";
import { recall, remember } from "./memory.js";

const THEMES = ["auto", "light", "dark"];
const DEGREES = 180 / Math.PI;

export class Panel {
  constructor(viewer, overlay) {
    Object.assign(this, { viewer, overlay });
    const { info } = viewer;
    document.title = `${info.name} – nerf-mini`;
    byId("name").textContent = info.name;
    byId("name").title = info.run;
    this.shadings(info.shadings);
    this.view();
    this.cameras(info.cameras);
    this.theme(recall("theme", "auto"));
    this.fold(recall("folded", isSheet()));
    byId("theme").addEventListener("click", () => this.theme());
    byId("fold").addEventListener("click", () => this.fold());
    byId("help").addEventListener("click", () => byId("keys").showModal());
    byId("full-screen").addEventListener("click", () => this.fullScreen());
    byId("full-screen").hidden = !document.fullscreenEnabled;
    viewer.on("visit", () => isSheet() && this.fold(true)); // or it would hide what is to be seen
    viewer.on("moved", () => this.showFov(DEGREES * viewer.camera.fov));
  }

  shadings(names) {
    names.forEach((name, i) => {
      const input = make("input", { type: "radio", name: "shading", value: name, checked: name === this.viewer.shading });
      const label = make("label", { title: `Key ${i + 1}` }, input, make("span", { textContent: name }));
      input.addEventListener("change", () => this.shade(i));
      byId("shadings").append(label);
    });
  }

  shade(i) {
    const name = this.viewer.info.shadings[i];
    if (!name) return;
    this.viewer.shading = name;
    byId("shadings").querySelectorAll("input")[i].checked = true;
    this.viewer.emit("moved");
  }

  view() {
    const { viewer } = this;
    this.showFov = bindRange(byId("fov"), DEGREES * viewer.camera.fov, (x) => `${Math.round(x)}°`, (x) => {
      viewer.camera.fov = x / DEGREES;
      viewer.steer();
    });
    bindRange(byId("percent"), viewer.percent, (x) => `${x} %`, (x) => {
      remember("percent", (viewer.percent = x));
      viewer.emit("moved");
    });
    bindRange(byId("fps"), viewer.fps, (x) => `${x} / s`, (x) => remember("fps", (viewer.fps = x)));
    byId("home").addEventListener("click", () => this.reset());
    const color = byId("background");
    const own = () => hex(viewer.info.background); // which may be learnt
    const change = (value, background) => {
      [color.value, viewer.background] = [value, background];
      byId("background-reset").hidden = background === null;
      viewer.emit("moved");
    };
    color.value = own();
    color.addEventListener("input", () => change(color.value, fromHex(color.value)));
    byId("background-reset").addEventListener("click", () => change(own(), null));
  }

  reset() {
    this.viewer.stop();
    this.viewer.leave();
    this.viewer.reset();
    this.viewer.emit("moved");
  }

  cameras(cameras) {
    const { overlay, viewer } = this;
    const shown = overlay.shown;
    byId("cameras-section").hidden = !cameras.length;
    const redraw = () => viewer.emit("settings");
    bindCheck(byId("cameras"), shown.cameras, (on) => {
      shown.cameras = on;
      redraw();
    });
    bindCheck(byId("pictures"), shown.pictures, (on) => {
      shown.pictures = on;
      redraw();
    });
    for (const split of new Set(cameras.map((camera) => camera.split))) {
      const count = cameras.filter((camera) => camera.split === split).length;
      const input = make("input", { type: "checkbox" });
      bindCheck(input, true, (on) => {
        shown.splits[on ? "add" : "delete"](split);
        redraw();
      });
      const key = make("i", { className: `key ${split}` });
      byId("splits").append(make("label", { className: "check" }, input, key, `${split} `, make("small", { textContent: count })));
    }
  }

  toggleCameras() {
    const input = byId("cameras");
    input.checked = !input.checked;
    input.dispatchEvent(new Event("change"));
  }

  fold(folded = !byId("panel").classList.contains("folded")) {
    byId("panel").classList.toggle("folded", folded);
    byId("fold").setAttribute("aria-expanded", String(!folded));
    byId("fold").title = folded ? "Show the controls" : "Fold the controls away";
    remember("folded", folded);
    this.rearrange();
  }

  /** Nothing but the picture, and back. */
  hide() {
    document.body.classList.toggle("bare");
    byId("overlay").focus();
    this.rearrange();
  }

  /** Pictures of training views stand beside the panel. */
  rearrange() {
    if (this.viewer.view !== null) this.viewer.emit("view");
  }

  theme(name = THEMES[(THEMES.indexOf(this.themeName) + 1) % THEMES.length]) {
    this.themeName = name;
    document.documentElement.dataset.theme = name;
    byId("theme").title = `Colours: ${name}`;
    byId("theme").setAttribute("aria-label", `Colours: ${name}. Change`);
    remember("theme", name);
    this.viewer.emit("settings");
  }

  fullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen?.();
  }
}

/** Whether the panel is a sheet at the bottom of a narrow window. */
export const isSheet = () => matchMedia("(max-width: 640px)").matches;

/** The part of the window that the panel leaves free, in CSS pixels times `ratio`. */
export function freeArea(ratio) {
  const stage = byId("stage").getBoundingClientRect();
  const panel = byId("panel").getBoundingClientRect();
  const bare = document.body.classList.contains("bare") || byId("panel").classList.contains("folded");
  const below = isSheet();
  const margin = 16;
  const top = below ? 112 : margin; // under the bar with the view's name
  const right = bare || below ? stage.width - margin : panel.left - margin;
  const bottom = below && !document.body.classList.contains("bare") ? panel.top - margin : stage.height - (below ? margin : 100);
  const area = { x: margin, y: top, width: Math.max(right - margin, 80), height: Math.max(bottom - top, 80) };
  return Object.fromEntries(Object.entries(area).map(([name, value]) => [name, value * ratio]));
}
