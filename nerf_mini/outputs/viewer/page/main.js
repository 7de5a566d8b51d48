// The viewer's page: makes the parts and connects them. Start reading here.

import { Compare } from "./compare.js";
import { Connection, loadInfo } from "./connection.js";
import { byId } from "./controls.js";
import { CropBox } from "./crop.js";
import { Frames } from "./frames.js";
import { Input } from "./input.js";
import { label, Overlay } from "./overlay.js";
import { freeArea, Panel } from "./panel.js";
import { Paths } from "./paths.js";
import { Picture } from "./picture.js";
import { Status } from "./status.js";
import { Training } from "./training.js";
import { Viewer } from "./viewer.js";

/** Functions by key, for what keys do beside moving the camera. */
function actions(panel, compare, paths) {
  const shades = Object.fromEntries([1, 2, 3, 4].map((digit) => [String(digit), () => panel.shade(digit - 1)]));
  return {
    ...shades,
    r: () => panel.reset(),
    "[": () => compare.step(-1),
    "]": () => compare.step(1),
    t: () => compare.toggle(),
    c: () => panel.toggleCameras(),
    k: () => paths.add(),
    " ": () => paths.play(),
    f: () => panel.fullScreen(),
    h: () => panel.hide(),
    "?": () => byId("keys").showModal(),
  };
}

/** The name of the camera under the mouse. */
function nameTag(overlay) {
  const tag = byId("tag");
  overlay.canvas.addEventListener("name", ({ detail }) => {
    tag.hidden = !detail;
    if (!detail) return;
    const { camera, x, y } = detail;
    tag.textContent = label(camera);
    tag.style.transform = `translate(${Math.min(x + 14, innerWidth - tag.offsetWidth - 8)}px, ${y + 14}px)`;
  });
}

/** Cameras may be refined and a background learnt: ask for both again when another field is shown. */
function keepUp(viewer, overlay, connection) {
  let shown = null;
  connection.addEventListener("news", ({ detail: { revision, finished } }) => {
    const field = `${revision} ${finished}`;
    if (shown !== null && shown !== field) {
      loadInfo().then(({ cameras, background }) => {
        Object.assign(viewer.info, { cameras, background });
        overlay.renew();
      }, () => {}); // a server that is away is asked again by the connection
    }
    shown = field;
  });
}

async function start() {
  const info = await loadInfo();
  const viewer = new Viewer(info, byId("stage"));
  viewer.freeArea = freeArea;
  const connection = new Connection(info);
  const picture = new Picture(byId("picture"), viewer);
  const overlay = new Overlay(byId("overlay"), viewer);
  const frames = new Frames(viewer, picture, connection);
  const panel = new Panel(viewer, overlay);
  new CropBox(viewer);
  new Status(viewer, connection);
  new Training(viewer, connection);
  const paths = new Paths(viewer, overlay, frames, connection);
  const compare = new Compare(viewer, picture, overlay);
  new Input(overlay.canvas, viewer, overlay, (index) => compare.visit(index), actions(panel, compare, paths));
  nameTag(overlay);
  keepUp(viewer, overlay, connection);
  viewer.on("settings", () => picture.paint()); // the theme's colours
  viewer.on("frame", ({ final }) => final && viewer.rememberPlace());
  Object.assign(viewer, { frames, picture, overlay, paths, compare, connection });
  window.viewer = viewer; // for the console, and for tests
  document.body.classList.add("ready");
  frames.run();
}

start().catch((error) => {
  byId("banner").hidden = false;
  byId("banner-text").textContent = `The viewer does not answer: ${error.message}`;
});
