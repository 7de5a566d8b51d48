// Standing at a training view: its name, the neighbours, and its photo beside the rendering with a slider between.

import { widened } from "./camera.js";
import { fetchPicture } from "./connection.js";
import { byId } from "./controls.js";
import { label } from "./overlay.js";

export class Compare {
  constructor(viewer, picture, overlay) {
    Object.assign(this, { viewer, picture, overlay, last: null });
    this.slider = byId("split");
    this.slider.addEventListener("input", () => this.slide());
    byId("previous").addEventListener("click", () => this.step(-1));
    byId("next").addEventListener("click", () => this.step(1));
    byId("view-previous").addEventListener("click", () => this.step(-1));
    byId("view-next").addEventListener("click", () => this.step(1));
    byId("view-truth").addEventListener("change", (event) => this.toggle(event.target.checked));
    byId("view-leave").addEventListener("click", () => viewer.steer());
    viewer.on("view", () => this.update());
    viewer.on("frame", () => this.place());
    addEventListener("resize", () => this.place());
  }

  /** Fly to a view (index), so that its picture ends where it will be compared. */
  visit(index) {
    const { viewer } = this;
    viewer.emit("visit");
    const { pose, fov } = viewer.info.cameras[index];
    const { width, height } = this.picture.rectangle(index);
    const ratio = this.picture.canvas.height / height;
    this.last = index;
    if (width > 0) viewer.fly(pose, Math.min(widened(fov, ratio), 3), () => this.arrive(index));
  }

  arrive(index) {
    if (this.last !== index || !samePlace(this.viewer.camera.pose, this.viewer.info.cameras[index].pose)) return;
    this.viewer.view = index;
    this.viewer.emit("view");
  }

  /** The view after or before the last one that was visited, among those that are shown. */
  step(by) {
    const shown = this.viewer.info.cameras.filter((camera) => this.overlay.shown.splits.has(camera.split));
    if (!shown.length) return;
    const place = shown.findIndex((camera) => camera.index === this.last);
    const from = place < 0 && by < 0 ? 0 : place;
    this.visit(shown[(from + by + shown.length) % shown.length].index);
  }

  toggle(comparing = !this.viewer.comparing) {
    this.viewer.comparing = comparing;
    if (this.viewer.view !== null) this.viewer.emit("view");
    byId("view-truth").checked = comparing;
  }

  update() {
    const { viewer, picture } = this;
    const camera = viewer.view === null ? null : viewer.info.cameras[viewer.view];
    byId("viewbar").hidden = camera === null;
    picture.photo = null;
    this.place();
    if (!camera) return;
    byId("view-name").textContent = label(camera);
    byId("view-truth").disabled = !camera.photo;
    if (camera.photo && viewer.comparing) this.load(camera.index);
  }

  async load(index) {
    const photo = await fetchPicture(`photo/${index}`).catch(() => null);
    if (this.viewer.view !== index) return;
    this.picture.photo = photo;
    this.picture.paint();
    this.place();
  }

  slide() {
    this.picture.split = Number(this.slider.value) / 100;
    byId("compare").style.setProperty("--split", this.picture.split);
    this.picture.paint();
  }

  /** Lay the slider over the picture, as soon as both are there. */
  place() {
    const { viewer, picture } = this;
    const shown = viewer.view !== null && viewer.comparing && picture.view === viewer.view && picture.photo;
    byId("compare").hidden = !shown;
    if (!shown) return;
    const rectangle = picture.rectangle(viewer.view);
    const { style } = byId("compare");
    const css = (pixels) => `${pixels / window.devicePixelRatio}px`;
    [style.left, style.top] = [css(rectangle.x), css(rectangle.y)];
    [style.width, style.height] = [css(rectangle.width), css(rectangle.height)];
  }
}

const samePlace = (a, b) => a.every((value, i) => Math.abs(value - b[i]) < 1e-4);
