// What all parts of the page share: the facts of the scene, the camera and the settings, and events between the parts.
//
// Events: "moved" (the picture is another one), "newer" (the same picture, of a newer field), "settings" (something
// about the overlay or the panel), "visit" (a flight to a training view begins), "view" (it was reached, or left),
// "frame" (a picture was shown), "refused" (a sentence for the visitor).

import { Camera, widened } from "./camera.js";
import { recall, remember } from "./memory.js";

export class Viewer extends EventTarget {
  constructor(info, stage) {
    super();
    this.info = info;
    this.stage = stage;
    this.shading = info.shadings[0];
    this.fps = recall("fps", 15);
    this.percent = recall("percent", window.devicePixelRatio > 1.5 ? 50 : 100); // of the window's device pixels
    this.background = null; // the run's own
    this.crop = null; // {center, sides}
    this.view = null; // index of the training view that the camera stands at
    this.comparing = true; // with its photo, there
    this.motion = null; // a flight, a walk or a preview, which moves the camera
    this.playing = false; // a preview of a path
    this.training = false; // and not paused: pictures take time from it
    this.camera = new Camera(info.start, 1);
    this.reset();
    this.recallPlace();
  }

  get aspect() {
    return this.stage.clientWidth / Math.max(this.stage.clientHeight, 1);
  }

  emit(name, detail = null) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  on(names, listener) {
    for (const name of names.split(" ")) this.addEventListener(name, (event) => listener(event.detail));
  }

  /** The visitor moved the camera: this ends flights and previews, and leaves the training view. */
  steer() {
    this.stop();
    this.leave();
    this.emit("moved");
  }

  /** Back to the first view, with all of the first view's picture in the window. */
  reset() {
    const { start, fov, aspect } = this.info;
    this.camera.place(start.pose, widened(fov, Math.max(1, aspect / this.aspect)), start.radius);
  }

  leave() {
    if (this.view === null) return;
    this.view = null;
    this.emit("view");
  }

  /** Let `step(seconds since the start)` move the camera until it returns false, or something else moves it. */
  move(step, done = () => {}) {
    this.stop();
    const begin = performance.now();
    const motion = { done };
    const tick = (now) => {
      if (this.motion !== motion) return;
      const goesOn = step(Math.max(0, now - begin) / 1000);
      this.emit("moved");
      if (goesOn) requestAnimationFrame(tick);
      else this.stop();
    };
    this.motion = motion;
    requestAnimationFrame(tick);
  }

  stop() {
    const motion = this.motion;
    this.motion = null;
    motion?.done();
  }

  /** Fly to a pose in 0.7 s, or be there at once for those who asked for less motion. */
  fly(pose, fov, done = () => {}) {
    this.leave();
    const flight = this.camera.flight(pose, fov);
    const seconds = matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 0.7;
    const ease = (t) => t * t * (3 - 2 * t);
    this.move((time) => {
      const share = seconds ? Math.min(time / seconds, 1) : 1;
      flight(ease(share));
      return share < 1;
    }, done);
  }

  rememberPlace() {
    const { pose, fov, distance } = this.camera;
    remember("place", { pose, fov, distance, shading: this.shading }, this.info.run);
  }

  recallPlace() {
    const place = recall("place", null, this.info.run);
    if (!place || !this.info.shadings.includes(place.shading)) return;
    this.camera.place(place.pose, place.fov, place.distance);
    this.shading = place.shading;
  }
}
