// Hands: mouse, pen, fingers and keys move the camera.

import { clamp } from "./vectors.js";

const RADIANS = 0.006; // a pixel of dragging
const KEY_RADIANS = 1.2; // a second of holding an arrow key
const CLICK = 5; // pixels; less movement than this is a click
const WALKS = { KeyW: [0, 0, 1], KeyS: [0, 0, -1], KeyA: [-1, 0, 0], KeyD: [1, 0, 0], KeyE: [0, 1, 0], KeyQ: [0, -1, 0] };
const ARROWS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const ZOOMS = { "+": 1 / 1.15, "=": 1 / 1.15, "-": 1.15 };

export class Input {
  /** @param actions functions by key, for whatever does not move the camera */
  constructor(surface, viewer, overlay, visit, actions) {
    Object.assign(this, { surface, viewer, overlay, visit, actions, pointers: new Map(), held: new Set(), tip: null });
    for (const name of ["pointerdown", "pointermove", "pointerup", "pointercancel", "pointerleave"])
      surface.addEventListener(name, (event) => this[name](event));
    surface.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    surface.addEventListener("contextmenu", (event) => event.preventDefault());
    addEventListener("keydown", (event) => this.keydown(event));
    addEventListener("keyup", (event) => this.held.delete(event.code));
    addEventListener("blur", () => this.held.clear());
    addEventListener("pointerdown", () => document.body.classList.remove("tabbing"), true);
  }

  pointerdown(event) {
    this.surface.setPointerCapture(event.pointerId);
    this.surface.focus({ preventScroll: true });
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    this.travelled = this.pointers.size > 1 ? Infinity : 0;
    this.surface.classList.add("dragging");
  }

  pointermove(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return this.showName(event);
    const [dx, dy] = [event.clientX - before.x, event.clientY - before.y];
    this.travelled += Math.hypot(dx, dy);
    if (this.travelled < CLICK) return; // not yet a drag; the way so far is not lost
    const pinch = this.spread();
    Object.assign(before, { x: event.clientX, y: event.clientY });
    const height = this.surface.clientHeight;
    const pans = event.shiftKey || event.ctrlKey || event.buttons & 6;
    if (this.pointers.size > 1) {
      this.viewer.camera.pan(-dx / height / 2, dy / height / 2); // each of two fingers carries half
      this.viewer.camera.zoom(pinch / this.spread());
    } else if (pans) this.viewer.camera.pan(-dx / height, dy / height);
    else this.viewer.camera.orbit(-RADIANS * dx, RADIANS * dy);
    this.viewer.steer();
  }

  /** The distance between two fingers. */
  spread() {
    const [a, b] = [...this.pointers.values()];
    return b ? Math.max(Math.hypot(a.x - b.x, a.y - b.y), 10) : 1;
  }

  pointerup(event) {
    const known = this.pointers.delete(event.pointerId);
    if (!this.pointers.size) this.surface.classList.remove("dragging");
    if (!known || this.travelled >= CLICK || event.button > 0) return;
    const camera = this.overlay.cameraAt(event.offsetX, event.offsetY);
    if (camera) this.visit(camera.index);
  }

  pointercancel(event) {
    this.travelled = Infinity;
    this.pointerup(event);
  }

  pointerleave() {
    this.overlay.hover(null);
    this.surface.dispatchEvent(new CustomEvent("name", { detail: null }));
  }

  showName(event) {
    if (event.pointerType === "touch") return;
    const camera = this.overlay.cameraAt(event.offsetX, event.offsetY);
    this.overlay.hover(camera);
    this.surface.classList.toggle("pointing", camera !== null);
    const detail = camera && { camera, x: event.offsetX, y: event.offsetY };
    this.surface.dispatchEvent(new CustomEvent("name", { detail }));
  }

  wheel(event) {
    event.preventDefault();
    const pixels = event.deltaY * [1, 32, 400][event.deltaMode]; // lines and pages of some mice
    const fine = event.ctrlKey ? 0.008 : 0.001; // a pinch on a touch pad comes as Ctrl and small steps
    this.viewer.camera.zoom(Math.exp(clamp(pixels * fine, -0.7, 0.7)));
    this.viewer.steer();
  }

  keydown(event) {
    if (event.key === "Tab") document.body.classList.add("tabbing"); // the scene shows its focus to those who tab
    const graph = event.getModifierState("AltGraph"); // how some keyboards write [ and ]
    if (event.metaKey || ((event.ctrlKey || event.altKey) && !graph) || taken(event)) return;
    const action = this.actions[event.key.toLowerCase()];
    if (event.code in WALKS || event.code in ARROWS) this.hold(event.code);
    else if (event.key in ZOOMS) {
      this.viewer.camera.zoom(ZOOMS[event.key]);
      this.viewer.steer();
    } else if (action && !event.repeat) action();
    else return;
    event.preventDefault();
  }

  /** Keys that are held move the camera at an even speed, however fast pictures come. */
  hold(code) {
    if (!this.held.size) this.go();
    this.held.add(code);
  }

  go() {
    let before = 0;
    const step = (time) => {
      for (const key of this.held) this.step(key, Math.min(time - before, 0.1));
      before = time;
      return this.held.size > 0;
    };
    this.viewer.leave();
    this.viewer.move(step, () => this.held.clear());
  }

  step(code, seconds) {
    const { camera } = this.viewer;
    const speed = 0.5 * Math.min(camera.distance, 2 * camera.sceneRadius) * seconds;
    if (code in WALKS) camera.walk(...WALKS[code].map((direction) => speed * direction));
    else camera.orbit(...ARROWS[code].map((direction) => KEY_RADIANS * seconds * direction));
  }
}

/** Whether the focused control wants a key for itself. */
function taken(event) {
  const { target, key, code } = event;
  if (target.closest?.("dialog")) return true;
  if (target.matches?.("select, textarea, input:not([type=range], [type=checkbox], [type=radio])")) return true;
  if (target.matches?.("input[type=range], input[type=radio]")) return code in ARROWS || key === " ";
  return target.matches?.("button, summary, a, input") && (key === " " || key === "Enter");
}
